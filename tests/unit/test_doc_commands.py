"""Commands, Python, links and files that README, docs and the projects of ``init`` name: each exists, each command parses, all Python compiles."""

from __future__ import annotations

import ast
import re
import shlex
from argparse import ArgumentParser, _SubParsersAction
from importlib import import_module
from pathlib import Path

import pytest

import dataward
from dataward.cli import _parser

PAGES = [
    *map(Path, ("README.md", "CONTRIBUTING.md")),
    *sorted(Path("docs").rglob("*.md")),
    *sorted(Path("lib/dataward/project").rglob("README.md")),
]
PLACEHOLDERS = {"...", "…"}
EXAMPLE = re.compile(r"VERB|My|my_")
"""What the names of files that a reader is to write contain."""


def commands(page: Path) -> list[tuple[int, str]]:
    """(line, command) of every line in a block that begins with ``dataward``."""
    found, fenced = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fenced ^= line.startswith("```")
        if (fenced or line.startswith("    ")) and (
            match := re.match(r"\s*(?:[A-Z_]+=\S+ )*(?:\$ )?(dataward .*)", line)
        ):
            found.append((number, match[1]))
    return found


def inline(page: Path) -> list[tuple[int, str]]:
    """(line, command) of every command within a sentence, which may leave out arguments."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
    return [(number, match[1]) for number, line in lines for match in re.finditer(r"`(dataward [a-z][^`]*)`", line)]


BLOCKS = [(f"{page}:{number}", command) for page in PAGES for number, command in commands(page)]
INLINE = [(f"{page}:{number}", command) for page in PAGES for number, command in inline(page)]


def words(command: str) -> list[str]:
    """Arguments of a command, without comment, further commands and the brackets around what may be left out."""
    lexer = shlex.shlex(re.sub(r" \[(--[^]]*)\]", r" \1", command), posix=True, punctuation_chars="&;|>")
    lexer.whitespace_split = True
    argv = list(lexer)[1:]
    ends = [index for index, word in enumerate(argv) if word in ("&&", ";", "|", ">")]
    return argv[: ends[0]] if ends else argv


def verb_of(argv: list[str]) -> tuple[ArgumentParser, list[str]]:
    """Parser of the verb (and sub-verb) that a command names, and what follows."""
    parser = _parser(argv)
    while holders := [action for action in parser._actions if isinstance(action, _SubParsersAction)]:
        if not argv or argv[0] not in holders[0].choices:
            break
        parser, argv = holders[0].choices[argv[0]], argv[1:]
    return parser, argv


@pytest.mark.parametrize(("place", "command"), BLOCKS, ids=[place for place, _ in BLOCKS])
def test_a_command_that_a_page_shows_is_one_that_the_command_line_takes(place, command, capsys):
    argv = words(command)
    if PLACEHOLDERS & set(argv):
        argv = [word for word in argv if word not in PLACEHOLDERS]
        return test_a_command_within_a_sentence_names_a_verb_and_its_options(place, shlex.join(["dataward", *argv]))
    try:
        _parser(argv).parse_args(argv)
    except SystemExit:
        pytest.fail(f"{place}: {command}\n{capsys.readouterr().err}")


@pytest.mark.parametrize(("place", "command"), INLINE, ids=[f"{place} {command}" for place, command in INLINE])
def test_a_command_within_a_sentence_names_a_verb_and_its_options(place, command):
    argv = words(command)
    parser, rest = verb_of(argv)
    assert rest != argv, f"{place}: no verb"
    known = {option for action in parser._actions for option in action.option_strings}
    assert {word for word in rest if word.startswith("--")} <= known, f"{place}: {command}"


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head) for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", head.strip().lower())).replace(" ", "-") for head in headings}


def missing(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        there = page.parent / file if file else page
        if link.startswith(("http://", "https://")):
            continue
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_links_of_a_page_lead_somewhere(page):
    assert missing(page) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_of_the_repository_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:lib|tests|docs|conf|jobs|notebooks)/[\w./-]+\.\w+)`", page.read_text(encoding="utf-8"))
    ours = [name for name in named if not EXAMPLE.search(name)]
    assert [name for name in ours if not any(Path(at, name).exists() for at in (".", page.parent))] == []


PYTHON = [
    (f"{page}:{text.count(chr(10), 0, match.start()) + 1}", match[1])
    for page in PAGES
    for text in [page.read_text(encoding="utf-8")]
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize(("place", "code"), PYTHON, ids=[place for place, _ in PYTHON])
def test_python_that_a_page_shows_compiles_and_names_what_is_there(place, code):
    for node in ast.walk(ast.parse(re.sub("^%.*", "", code, flags=re.MULTILINE), place)):  # magic of notebooks
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dataward"):
            module = import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == [], place
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dataward":
            assert hasattr(dataward, node.attr), f"{place}: dataward.{node.attr}"


def test_python_within_a_sentence_names_what_is_there():
    named = {
        (str(page), name)
        for page in PAGES
        for name in re.findall(r"`dataward\.(\w+)\(", page.read_text(encoding="utf-8"))
    }
    assert {place for place in named if not hasattr(dataward, place[1])} == set()
    assert ("docs/versions.md", "diff") in named
