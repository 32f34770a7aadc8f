// Checks a checkpoint, an inclusion proof and a consistency proof with the Go project's own implementations.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type input struct {
	Key         string
	Checkpoint  string
	Index       int64
	Entry       []byte
	Path        []string
	Old         int64
	OldRoot     string
	Consistency []string
}

func hash(text string) tlog.Hash {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) != tlog.HashSize {
		fail("hash", fmt.Errorf("malformed: %s", text))
	}
	return tlog.Hash(data)
}

func hashes(texts []string) []tlog.Hash {
	var found []tlog.Hash
	for _, text := range texts {
		found = append(found, hash(text))
	}
	return found
}

func fail(what string, err error) {
	if err != nil {
		fmt.Println(what, err)
		os.Exit(1)
	}
}

func main() {
	var in input
	fail("input", json.NewDecoder(os.Stdin).Decode(&in))
	verifier, err := note.NewVerifier(in.Key)
	fail("key", err)
	opened, err := note.Open([]byte(in.Checkpoint), note.VerifierList(verifier))
	fail("note", err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	fail("size", err)
	root := hash(lines[2])
	fail("inclusion", tlog.CheckRecord(hashes(in.Path), size, root, in.Index, tlog.RecordHash(in.Entry)))
	fail("consistency", tlog.CheckTree(hashes(in.Consistency), size, root, in.Old, hash(in.OldRoot)))
	fmt.Println("ok", size)
}
