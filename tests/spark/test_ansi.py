"""A user's session with ANSI mode (Spark 4's default) and Spark 4's other new defaults: verdicts and values as in Spark 3.5."""

from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.spark import session

SCHEMA = "id int, raw string, n int, big bigint, many array<int>, named map<string,int>, day string, name string"
ROWS = [
    (1, "7", 0, 2**63 - 1, [1], {"a": 1}, "2026-02-30", "STRASSE"),
    (2, "x", 5, 1, [], {}, "2026-02-28", "ẞ"),
    (3, "", 1, 2, None, None, None, "ΣΑΣ"),
    (4, "3000000000", 2, 3, [1, 2, 3], {"b": None}, "2026-01-31", "İ"),
]
RULES = [
    'CustomSql "select count(*) from primary where cast(raw as int) > 5" = 1',
    'CustomSql "select count(*) from primary where 10 / n > 1" = 3',
    'CustomSql "select count(*) from primary where 10 % n = 0" = 3',
    'CustomSql "select count(*) from primary where big + big < 0" = 1',
    'CustomSql "select count(*) from primary where cast(big as int) = -1" = 1',
    'CustomSql "select count(*) from primary where many[7] is null" = 4',
    "CustomSql \"select count(*) from primary where element_at(named, 'absent') is null\" = 4",
    'CustomSql "select count(*) from primary where cast(day as date) is null" = 2',
    'CustomSql "select count(*) from primary where to_date(day) is null" = 2',
    "CustomSql \"select count(*) from primary where lower(name) = 'strasse'\" = 1",
    'IsComplete "id" where "cast(raw as int) > 5"',
    'ColumnValues "raw" > 3 with threshold >= 0.5',
]


def test_no_verdict_and_no_value_depends_on_ansi_mode(lake):
    lake.source(ROWS, SCHEMA)
    file = lake.contract(
        ",\n".join(RULES),
        "{raw: {class: username, protect: token}}",
        treat="{normalise: {name: {case: lower}}}",
        extra="quarantine: {{path: {root}/quarantine}}\nengine: spark",
    )
    users = lake.spark.newSession()
    defaults = {"spark.sql.ansi.enabled": "true", "spark.sql.session.timeZone": "Asia/Tokyo"}
    for key, value in defaults.items():
        users.conf.set(key, value)
    result = publish(users, plan(file), "r1", str(lake.root / "reports"))
    failed = [(one["rule"], one["measured"], one["message"]) for one in result.verdicts if one["outcome"] != "PASSED"]
    assert failed == []
    kept = {row.id: row for row in lake.read().collect()}
    assert sorted(kept) == [1, 4]  # the others are no number above 3
    assert (kept[1].big, kept[1].many, kept[1].day) == (2**63 - 1, [1], "2026-02-30")
    names = {**{row.id: row.name for row in lake.read("quarantine").collect()}, 1: kept[1].name, 4: kept[4].name}
    assert names == {1: "strasse", 2: "ß", 3: "σας", 4: "i\u0307"}
    assert {key: users.conf.get(key) for key in defaults} == defaults  # the session is left as it was
    assert {"spark.sql.ansi.enabled": "false"}.items() <= session.ISOLATED.items()
