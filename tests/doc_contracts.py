"""The contracts that README and docs show, as people would copy them."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = ("README.md", *sorted(str(page) for page in Path("docs").glob("*.md")))
REST = {
    "contract": "contract: example",
    "source": "source: {path: raw/example}",
    "target": "target: {path: lake/example}",
    "keys": "keys: {path: conf/keys, domain: people}",
    "references": "references: {postcodes: {path: raw/postcodes}}",
}
"""What a part of a contract needs beside it."""
OTHERS = ("policy", "detectors", "release", "synthesize", "plan", "site", "survey", "intersect", "set", "fit")
"""First keys of files of other kinds; a file of cases for `access test` begins with its contract."""


def blocks() -> list[tuple[str, str]]:
    """(page and line, text) of every YAML block."""
    found = []
    for page in PAGES:
        text = Path(page).read_text(encoding="utf-8")
        for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found.append((f"{page}:{text.count(chr(10), 0, match.start()) + 1}", match[1]))
    return found


def keys_of(block: str) -> list[str]:
    return re.findall(r"^([a-z_]+):", block, re.MULTILINE)


def contracts() -> list[tuple[str, str]]:
    """Every block of a contract or a part of one, completed; a block of alternatives gives one for each."""
    made = []
    for place, block in blocks():
        keys = keys_of(block)
        if keys[0] in OTHERS or "cases" in keys:
            continue
        ways = block.splitlines() if len(set(keys)) < len(keys) else [block]
        for number, way in enumerate(ways):
            rest = [line for key, line in REST.items() if key not in keys_of(way)]
            made.append((f"{place}#{number}" if len(ways) > 1 else place, "\n".join([way, *rest, ""])))
    return made
