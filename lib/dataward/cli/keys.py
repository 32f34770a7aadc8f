"""``dataward keys``: manage the keyring of a contract, or a keyring in a file."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

if TYPE_CHECKING:
    from dataward.contract import Keys
    from dataward.keys import Keyring

__all__ = ["add"]

Run = Callable[[argparse.Namespace], int]

WHERE = "a keyring's file, or a contract (.yaml) that names the keyring"


def add(verb: Verb) -> None:
    """Add the verb and its actions."""
    action = verb.group("keys", "Create, list, verify and migrate a keyring; disable a key version.")
    command = action("create", _create, "Create a keyring and the first keys of domains; existing keys stay unchanged.")
    command.add_argument("where", metavar="WHERE", help=WHERE)
    command.add_argument("--domain", action="append", default=[], metavar="D", help="default: those of the contract")
    command = action("list", _list, "List domains and their key versions; shows no secret.")
    command.add_argument("where", metavar="WHERE", help=WHERE)
    command = action("verify", _verify, "Unwrap every enabled version and compare it with its fingerprint.")
    command.add_argument("where", metavar="WHERE", help=WHERE)
    command = action("public", _public, "Print the public keys (PEM) by which anybody verifies seals; shows no secret.")
    command.add_argument("where", metavar="WHERE", help=WHERE)
    command.add_argument("--domain", metavar="D", help="default: every domain")
    command.add_argument("--output", metavar="FILE", help="write the PEM text to a file")
    disabling = "Refuse to use a version, so that its values cannot be read; 'dataward history --keys' lists its uses."
    for name, what in (("disable", disabling), ("enable", "Use a disabled version again.")):
        command = action(name, _set_enabled, what)
        command.add_argument("where", metavar="WHERE", help=WHERE)
        command.add_argument("domain", metavar="DOMAIN")
        command.add_argument("version", metavar="VERSION", type=int)
        command.set_defaults(enabled=name == "enable")
    moving = "Move a keyring to another place or provider; the keys and all tokens stay the same."
    command = action("migrate", _migrate, moving)
    command.add_argument("where", metavar="FROM", help=WHERE)
    command.add_argument(
        "to", metavar="TO", help="the new keyring's file, or a contract (.yaml) that names the new keyring"
    )


def _keys(where: str) -> tuple[Keys, tuple[str, ...]]:
    """Return the keyring's location, and the domains of the contract."""
    from dataward.contract import Keys, load
    from dataward.contract.load import from_caller

    if where.endswith((".yaml", ".yml")):
        contract = load(where)
        return contract.keys, contract.domains
    if not where:
        raise UsageError("name a keyring's file, or a contract")
    return from_caller(Keys, {"path": where, "domain": "default"}), ()


def _asked(name: str) -> Callable[[Run], Run]:
    """Decide an action on a contract's keyring, and record it; the machine's settings govern a keyring that is only a file."""

    def wrap(run: Run) -> Run:
        def asked(arguments: argparse.Namespace) -> int:
            from dataward.contract import load
            from dataward.pipeline.guard import watched

            contract = load(arguments.where) if arguments.where.endswith((".yaml", ".yml")) else None
            to = getattr(arguments, "to", "")
            other = load(to) if to.endswith((".yaml", ".yml")) else None
            verb = name or ("keys_enable" if arguments.enabled else "keys_disable")
            with watched(verb, contract=contract, other=other, source=arguments.where):
                return run(arguments)

        return asked

    return wrap


def _opened(arguments: argparse.Namespace) -> Keyring:
    from dataward.keys import open_keys

    return open_keys(_keys(arguments.where)[0])


@_asked("keys_create")
def _create(arguments: argparse.Namespace) -> int:
    from dataward.contract.base import NAME
    from dataward.keys import create_keyring, has_keyring, open_keys

    keys, domains = _keys(arguments.where)
    wanted = tuple(dict.fromkeys(arguments.domain)) or domains
    if wrong := [domain for domain in wanted if not re.match(NAME, domain)]:
        raise UsageError(f"--domain {wrong[0]}: no contract can name this domain; it must match {NAME}")
    made = not (wanted and has_keyring(keys))
    ring = create_keyring(keys) if made else open_keys(keys)
    new = [domain for domain in wanted if domain not in ring.domains]
    for domain in new:
        ring.add_domain(domain)
    if arguments.json:
        print_json({"path": keys.path, "created": made, "domains": list(ring.domains), "new": new})
        return 0
    what = "created keyring" if made else "keyring"
    print(
        f"{what} {keys.path}" + (f": key version 1 of {', '.join(new)}" if new else "" if made else ": nothing to do")
    )
    if keys.provider == "local" and made:
        print("Its file has mode 0600. Back it up: without it no seal can be verified and no token joins the old ones.")
        print("Keep it out of version control.")
    return 0


@_asked("keys_list")
def _list(arguments: argparse.Namespace) -> int:
    ring = _opened(arguments)
    by_domain = {
        domain: [
            {"version": number, "current": number == ring.newest(domain), "going_out": number == ring.window(domain)}
            | version.model_dump(exclude={"secret"})
            for number, version in sorted(ring.versions(domain).items())
        ]
        for domain in ring.domains
    }
    if arguments.json:
        print_json({"domains": by_domain, "moved": ring.moved})
        return 0
    if ring.moved:
        print(f"This keyring has moved to {ring.moved}, and takes no more changes.")
    for domain, versions in by_domain.items():
        print(domain)
        for listed in versions:
            marks = [
                word for word, holds in (("current", listed["current"]), ("going out", listed["going_out"])) if holds
            ]
            state = ", ".join(["enabled" if listed["enabled"] else "DISABLED", *marks])
            print(f"  v{listed['version']}  {listed['created']}  fingerprint {listed['fingerprint']}  {state}")
    if not by_domain:
        print("no key yet: a local keyring creates a domain's first key when a run needs it")
    return 0


@_asked("keys_verify")
def _verify(arguments: argparse.Namespace) -> int:
    ring = _opened(arguments)
    checks = [
        {"domain": domain, "version": number, "holds": not (trouble := ring.trouble(domain, number)), "detail": trouble}
        for domain in ring.domains
        for number, version in sorted(ring.versions(domain).items())
        if version.enabled
    ]
    holds = all(check["holds"] for check in checks)
    if arguments.json:
        print_json({"holds": holds, "checks": checks})
    else:
        for check in checks:
            mark = "ok    " if check["holds"] else "FAILED"
            print(f"{mark}  {check['domain']} v{check['version']}  {check['detail']}".rstrip())
        say(
            f"{counted(len(checks), 'key version')}: "
            + ("every one is as it was made" if holds else "not all can be used")
        )
    return 0 if holds else 1


@_asked("keys_list")
def _public(arguments: argparse.Namespace) -> int:
    from dataward.integrity.dsse import PublicKey, key_id, pem
    from dataward.tables.replacing import replace_file

    keys, _ = _keys(arguments.where)
    ring = _opened(arguments)
    if arguments.domain and arguments.domain not in ring.domains:
        raise UsageError(
            f"keyring {keys.path} has no domain '{arguments.domain}': it has {', '.join(ring.domains) or 'none'}"
        )
    found: list[tuple[str, PublicKey]] = [
        (f"{domain} v{version}", ring.public_key(domain, version))
        for domain in ring.domains
        if arguments.domain in (None, domain)
        for version in sorted(ring.versions(domain))
    ]
    if keys.sign:
        from dataward.keys import service_signer

        name = keys.sign if ":" in keys.sign or keys.sign.startswith("projects/") else f"kms {keys.sign}"
        found += [(name, key) for key in service_signer(keys.sign).publics]
    text = "".join(pem(key) for _, key in found)
    if arguments.output:
        replace_file(Path(arguments.output), text.encode("ascii"))
    if arguments.json:
        print_json({"keys": [{"name": name, "key_id": key_id(key), "pem": pem(key)} for name, key in found]})
    elif not arguments.output:
        print(text, end="")
    for name, key in found:
        say(f"{name}: {key_id(key)}")
    return 0


@_asked("keys_migrate")
def _migrate(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from dataward.keys import migrate_keyring

    old, new = _keys(arguments.where)[0], _keys(arguments.to)[0]
    done = migrate_keyring(old, new)
    if arguments.json:
        print_json(asdict(done))
        return 0
    held = f"{counted(done.versions, 'key version')} of {counted(done.domains, 'domain')}"
    print(
        f"{done.place} holds the {held} of {done.old} ({done.new} wrapped now). Each was "
        "unwrapped again and is the same: tokens and seals stay as they are."
    )
    if done.place == done.old:
        print("It was replaced in one step. Contracts must name the new 'key' from now on.")
        return 0
    print(f"{done.old} is kept, serves contracts that still name it, and takes no more changes. Next:")
    print(f"  1. write into every contract that names it:  keys: {{{_spelled(new)}}}")
    print(f"  2. dataward keys verify {arguments.to}, and dataward verify of a table")
    print(f"  3. delete {done.old} and its backups, when nothing reads it any more")
    return 0


def _spelled(keys: Keys) -> str:
    """Return the entry 'keys' of a contract; the domain stays the contract's own."""
    given = keys.model_dump(exclude_defaults=True, exclude={"domain"})
    return ", ".join(f"{name}: {value}" for name, value in {"provider": keys.provider, **given}.items())


@_asked("")
def _set_enabled(arguments: argparse.Namespace) -> int:
    ring = _opened(arguments)
    ring.set_enabled(arguments.domain, arguments.version, arguments.enabled)
    state = "enabled" if arguments.enabled else "disabled"
    if arguments.json:
        print_json({"domain": arguments.domain, "version": arguments.version, "state": state})
        return 0
    print(f"{arguments.domain} v{arguments.version} is {state}")
    if not arguments.enabled:
        print(f"undo: dataward keys enable {arguments.where} {arguments.domain} {arguments.version}")
        if arguments.version == ring.newest(arguments.domain):
            print(
                "It is the current version: no run can write until it is enabled, and a rotation to a new one needs it too."
            )
    return 0
