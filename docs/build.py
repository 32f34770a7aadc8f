"""Draws pages and tables of docs/ from docstrings and models: ``python docs/build.py`` (``make docs``).

The parse tables of the grammar of DQDL are computed too, where it changed.

A docstring's ``Example::`` block holds lines of the form ``RULE  # measured, OUTCOME`` about the table below; the tests
run every one of them.
"""

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from dataward.contract.protections import OPERATORS as PARAMETERS
from dataward.integrity.findings import SECTIONS
from dataward.integrity.statement import predicate_schema
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.protect import OPERATORS, canonical
from dataward.quality.dqdl import tables
from dataward.quality.rules import KINDS, Probe, RowComposite, RowRule, Rule, TableComposite

HERE = Path(__file__).parent
SCHEMA = "n int, id int, mail string, age int, score double, at string, raw string"
ROWS = [
    (1, 1, "ada@x.org", 30, 1.5, "2026-11-22 11:00:00", "10"),
    (2, 2, "bob@x.org", 41, 2.5, "2026-11-20 12:00:00", "x"),
    (3, 3, "bob@x.org", None, -2.0, None, "2020-02-30"),
    (4, 4, None, 12, 4.0, "2026-11-22 12:00:00", None),
    (5, 4, "", 41, None, "2026-01-01 00:00:00", "2020-02-29"),
]
FILES = {"a.txt": "123", "b.txt": "123", "c.txt": "1234" * 300}
DOCUMENTED: tuple[type[Rule], ...] = (*KINDS.values(), RowComposite, TableComposite)


def examples(kind: type[Rule]) -> list[tuple[str, str, str]]:
    """(rule, measured or "none", outcome) of every line of the docstring's example."""
    block = (inspect.getdoc(kind) or "").partition("Example::")[2]
    found = (re.fullmatch(r"\s+(.+?)\s+# (\S+), ([A-Z]+)", line) for line in block.splitlines())
    return [(match[1], match[2], match[3]) for match in found if match]


def page(kind: type[Rule]) -> str:
    name = kind.__name__ if kind in (RowComposite, TableComposite) else kind.name
    summary = (inspect.getdoc(inspect.getmodule(kind)) or "").split("\n\n")[0]
    text = (inspect.getdoc(kind) or "").partition("Example::")[0].strip()
    family = (
        "row rule: rows that fail are diverted to the quarantine"
        if issubclass(kind, RowRule)
        else "table rule: the run stops"
    )
    least, most = kind.parameters
    facts = [f"- {family}"]
    if kind.ours:
        facts.append("- Dataward's own: Glue does not know it")
    if issubclass(kind, Probe):
        facts.append("- looks for its number itself, beside the scan")
    if kind in KINDS.values():
        count = str(least) if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        compared = (kind.condition or "nothing") + (" (may be left out)" if kind.condition_optional else "")
        tags = ", ".join(f"`with {tag}`" for tag in sorted(kind.tags)) or "none"
        facts += [f"- parameters: {count}; compared with: {compared}"]
        facts += [f"- `where`: {'yes' if kind.takes_where else 'no'}; tags: {tags}"]
    lines = [f"| `{rule}` | {measured} | {outcome} |" for rule, measured, outcome in examples(kind)]
    parts = [f"# {name}", re.sub(r"``", "`", summary), re.sub(r"``", "`", text), "\n".join(facts)]
    parts += [
        "## Example",
        "On [this table](README.md):",
        "\n".join(["| rule | measured | outcome |", "|---|---|---|", *lines]),
    ]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    names = SCHEMA.replace(",", "").split()[::2]
    table = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    table += [
        "| " + " | ".join("*null*" if v is None else f'"{v}"' if isinstance(v, str) else str(v) for v in row) + " |"
        for row in ROWS
    ]
    listed = [f"- [{kind.__name__}]({kind.__name__}.md)" for kind in DOCUMENTED]
    told = (
        "`at` is a timestamp (UTC); now is 2026-11-22 12:00:00. The reference `reference` holds the columns n, id and age "
        f"of the first four rows. The folder `files` holds {', '.join(f'{name} ({len(text)} B)' for name, text in FILES.items())}; "
        "a.txt and b.txt are alike."
    )
    head = "# Rule types\n\nDrawn by `make docs` from the docstrings; every example is run by the tests."
    return "\n\n".join([head, "\n".join(listed), "## The table of the examples", "\n".join(table), told]) + "\n"


INTRODUCTION = """\
# Protections

Drawn by `make docs` from the operators' docstrings. Each says what it protects against, what not, and by which standard. NULL stays NULL
under every operator, and a value that an operator cannot protect is never passed through: `invalid: error` (the default) stops the
run before anything is published (and in seconds where one of the first `discovery.rows` rows holds such a value), `null` makes it null, and
`{fallback: OPERATOR}` protects it otherwise. In the quarantine, where bad rows are expected, `error` becomes null too.

A line's name may be a dotted path into structs; lists are gone through, and a map's entries are `.key` and `.value`:
`contacts.phone: {class: phone, protect: fpe}`. The longest path speaks. Only `json` and `redact_text` look into text.

| you want | use |
|---|---|
| joins, and nobody ever to read the value | `token` |
| joins, and somebody to get it back | `encrypt`; `fpe` where the format must stay; `vault` where the key alone must not be enough |
| to get it back, no joins | `encrypt_random` |
| data that looks real | `pick`, `date_shift`, `fpe` |
| statistics | `generalize`, `date_shift`, `perturb` |
| a glimpse for people | `mask` |
| free text without what is sensitive in it | `redact_text` |
| nothing of it | `redact`, `null`, `drop` |
"""


def default(field: Any) -> str:
    if field.is_required():
        return "required"
    return getattr(field.default, "action", None) or f"`{field.default!r}`"


def protections() -> str:
    """One page: every operator with its parameters."""
    parts = [INTRODUCTION]
    for name in PARAMETERS:
        doc = inspect.getdoc(inspect.getmodule(OPERATORS[name])) or ""
        text = re.sub(r"``", "`", doc.partition(": ")[2])
        fields = {field.alias or key: field for key, field in PARAMETERS[name].model_fields.items() if key != "op"}
        rows = [f"| `{key}` | {default(field)} | {field.description or ''} |" for key, field in fields.items()]
        table = "\n".join(["| parameter | default | |", "|---|---|---|", *rows]) if rows else "No parameters."
        parts.append(f"## {name}\n\n{text[0].upper()}{text[1:]}\n\n{table}\n")
    spelling = re.sub(r"``", "`", inspect.getdoc(canonical) or "")
    return "\n".join([*parts, f"## Canonical spellings\n\n{spelling}\n"])


def discovery() -> str:
    """The page about discovery, with the table of detectors at its end."""
    written = (HERE / "discovery.md").read_text(encoding="utf-8").partition("<!-- detectors -->")[0]
    rows = []
    for one in sorted(DETECTORS, key=lambda detector: detector.class_):
        shapes = ", ".join(f"{p.name}{' (check)' if p.check else ''}" for p in one.patterns)
        names = ", ".join([*one.names, *one.hints][:6])
        rows.append(f"| `{one.class_}` | {one.explains} | {shapes} | {names} |")
    head = ["<!-- detectors -->", "| class | | shapes | names of columns, among others |", "|---|---|---|---|"]
    return written + "\n".join([*head, *rows]) + "\n"


def verification() -> str:
    """The page about verification, with the codes of findings at its end."""
    written = (HERE / "verify.md").read_text(encoding="utf-8").partition("<!-- findings -->")[0]
    rows = [f"| {name} | `{code}` | {words} |" for name, codes in SECTIONS.items() for code, words in codes.items()]
    head = ["<!-- findings -->", "| check | code | |", "|---|---|---|"]
    return written + "\n".join([*head, *rows]) + "\n"


def pages() -> dict[Path, str]:
    made = {HERE / "rules" / f"{kind.__name__}.md": page(kind) for kind in DOCUMENTED}
    return {
        HERE / "rules" / "README.md": index(),
        HERE / "protections.md": protections(),
        HERE / "discovery.md": discovery(),
        HERE / "verify.md": verification(),
        HERE / "seal.schema.json": json.dumps(predicate_schema(), indent=2) + "\n",
        **made,
    }


if __name__ == "__main__":
    if not tables.current():
        Path(tables.__file__).with_name("grammar.json").write_text(tables.computed(), encoding="utf-8")
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(pages())} pages in {HERE}", file=sys.stderr)
