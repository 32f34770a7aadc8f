"""A house's policies in Cedar, its people and tables, which the tests of access share."""

from dataclasses import replace
from datetime import datetime, timezone

from dataward.access.decide import Asking, ColumnFacts, Principal, TableFacts
from dataward.access.policies import parsed

HOUSE = """
@id("engineers operate") permit (principal in Dataward::Group::"engineers", action in Dataward::Action::"operate", resource);
@id("everybody looks") permit (principal in Dataward::Group::"staff", action in Dataward::Action::"look", resource)
  unless { resource has contract && resource.contract == "salaries" };
@id("payroll looks") permit (principal in Dataward::Group::"payroll", action in Dataward::Action::"look", resource == Dataward::Table::"salaries")
  when { context.purpose == "payroll" };
@id("privacy manages") permit (principal in Dataward::Group::"privacy", action in Dataward::Action::"manage", resource);
@id("no erasure at night") forbid (principal, action == Dataward::Action::"erase", resource) when { context.hour < 6 };
@id("public columns") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_clear", resource) when { !resource.sensitive };
@id("staff tokens") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_token", resource)
  when { ["email", "phone"].contains(resource.class) };
@id("staff masks") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_masked", resource)
  when { ["email", "phone", "person_name"].contains(resource.class) };
@id("fraud opens") @rows_per_day("50") permit (principal in Dataward::Group::"fraud",
  action in [Dataward::Action::"read_clear", Dataward::Action::"reidentify"], resource)
  when { ["email", "national_id"].contains(resource.class) && context.purpose == "fraud-case" };
@id("contractors see no phone") forbid (principal in Dataward::Group::"contractors", action in Dataward::Action::"see", resource)
  when { resource.class == "phone" };
"""

GROUPS_OF = {
    "eve": ("staff", "engineers"), "ana": ("staff", "analysts"), "fay": ("staff", "fraud"), "pam": ("staff", "payroll"),
    "dpo": ("staff", "privacy"), "con": ("staff", "contractors"), "nobody": (), "staffer": ("Staff", "engineer", "staff "),
}  # fmt: skip

NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)

PEOPLE = TableFacts("people", "lake/people", "people", tuple(
    ColumnFacts(class_ or "state", class_, stored, bool(class_), stored == "encrypted")
    for class_, stored in (("", "kept"), ("email", "encrypted"), ("phone", "aliased"), ("person_name", "coarsened"), ("national_id", "encrypted"))
))  # fmt: skip

SALARIES = replace(PEOPLE, name="salaries")

# One letter for each verb on tables, in this order: x permitted, . denied.
TABLE_VERBS = "read verify history discover audit publish anonymize quarantine_discard release train rotate erase keys_disable change_contract".split()

ON_TABLES = """
    people   eve     -        xxxxx xxxxx ....
    people   ana     -        xxxxx ..... ....
    people   fay     fraud-case xxxxx ..... ....
    people   pam     payroll  xxxxx ..... ....
    people   dpo     -        xxxxx ..... xxxx
    people   con     -        xxxxx ..... ....
    people   nobody  -        ..... ..... ....
    people   staffer -        ..... ..... ....
    salaries eve     -        ..... xxxxx ....
    salaries ana     payroll  ..... ..... ....
    salaries pam     payroll  xxxxx ..... ....
    salaries pam     -        ..... ..... ....
    salaries dpo     -        ..... ..... xxxx
    salaries nobody  payroll  ..... ..... ....
"""

# One word for each column: what read_clear, read_token, read_masked and reidentify come to.
CLASSES = ["", "email", "phone", "person_name", "national_id"]

ON_COLUMNS = """
    ana    -           x... .xx. .xx. ..x. ....
    ana    fraud-case  x... .xx. .xx. ..x. ....
    fay    fraud-case  x... xxxx .xx. ..x. x..x
    fay    -           x... .xx. .xx. ..x. ....
    fay    Fraud-case  x... .xx. .xx. ..x. ....
    con    -           x... .xx. .... ..x. ....
    nobody fraud-case  .... .... .... .... ....
    dpo    fraud-case  x... .xx. .xx. ..x. ....
"""


def person(name):
    return Principal(name, "os", GROUPS_OF[name])


def cases():
    for line in ON_TABLES.split("\n"):
        if line.strip():
            table, who, purpose, *letters = line.split()
            for verb, letter in zip(TABLE_VERBS, "".join(letters), strict=True):
                at = SALARIES if table == "salaries" else PEOPLE
                yield Asking(person(who), verb, at, None, purpose.strip("-"), now=NOON), letter == "x"
    for line in ON_COLUMNS.split("\n"):
        if line.strip():
            who, purpose, *words = line.split()
            for column, word in zip(PEOPLE.columns, words, strict=True):
                for verb, letter in zip(("read_clear", "read_token", "read_masked", "reidentify"), word, strict=True):
                    yield (
                        Asking(person(who), verb, PEOPLE, column, "" if purpose == "-" else purpose, now=NOON),
                        letter == "x",
                    )


def house(text=HOUSE):
    return parsed(text, "house.cedar")


REIDENTIFY = [
    {"principals": ["ana"], "classes": ["email"], "purposes": ["fraud"], "rows_per_day": 3},
    {"principals": ["ana", "bob"], "classes": ["email", "phone"], "purposes": ["fraud", "support"], "rows_per_day": 9},
]


def contract_with(**more):
    from dataward.contract import Contract

    given = {
        "contract": "people",
        "source": {"path": "a"},
        "target": {"path": "b"},
        "keys": {"path": "k", "domain": "d"},
    }
    return Contract.model_validate({**given, **more})


CONTRACT = """
contract: people
source: {path: a}
target: {path: b}
keys: {path: k, domain: d}
columns: {mail: {class: email, protect: {encrypt: {}}}, state: {protect: keep}}
access:
  grants:
    - {groups: [analysts], verbs: [read], see: {email: masked}, rows: "state = 'nsw'", purposes: [fraud]}
"""
