"""Discovery on Spark: nested columns and JSON, samples, the gates of publish, estates, drafts that publish."""

import json
import random
import shutil

import pytest

from dataward.contract import Source
from dataward.errors import ContractError, SourceError, UsageError
from dataward.inference import Protector
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.privacy.discover.spark import discover_frame
from dataward.verbs.discover import Asked, discover, discover_all, drafted, html, source_of
from dataward.verbs.profile import profile

R = random.Random(5)
PEOPLE = [
    (n, f"person{n}@example.org", f"{R.randrange(1, 600):03}-{R.randrange(1, 99):02}-{R.randrange(1, 9999):04}", "ok", R.randrange(100))
    for n in range(300)
]  # fmt: skip
SCHEMA = "id int, c1 string, c2 string, status string, points int"
ON = "{rows: 100000}"


def classes(findings):
    return {found.column: found.class_ for found in findings if found.class_}


def test_every_leaf_is_looked_at_in_one_job(spark, jobs_of):
    rows = [
        (
            [{"mail": f"u{n}@x.org"}],
            {"home": f"+49 30 {901820 + n}"},
            json.dumps({"who": {"card": 4111111111111111}, "n": n}),
            n,
        )
        for n in range(200)
    ]
    frame = spark.createDataFrame(
        rows, "a array<struct<mail string>>, m map<string, string>, j string, n long"
    ).coalesce(1)
    with jobs_of() as told:
        found = discover_frame(frame)
    assert told["jobs"] == 1
    assert [one.column for one in found][:1] == ["a.mail"]
    assert {"a.mail": "email", "m.value": "phone"}.items() <= classes(found).items()
    assert {one.column for one in found} == {"a.mail", "m.key", "m.value", "j", "j: who.card", "j: n", "n"}


def test_evidence_of_many_partitions_is_that_of_one(spark):
    frame = spark.createDataFrame(PEOPLE, SCHEMA)
    one, many = (discover_frame(frame.repartition(parts)) for parts in (1, 7))
    assert (
        [found.class_ for found in one]
        == [found.class_ for found in many]
        == [None, "email", "national_id", None, None]
    )
    for a, b in zip(one, many, strict=True):
        assert a.confidence.value == pytest.approx(b.confidence.value, abs=0.05)


@pytest.mark.long
def test_a_table_is_sampled_or_looked_at_in_full(spark, lake):
    path = lake.source(PEOPLE, SCHEMA)
    source = source_of(spark, path, None, {})
    assert source == Source(path=path, format="delta")
    whole, part = (discover(spark, source, Asked(rows)) for rows in (None, 100))
    assert (whole.rows, whole.looked, part.rows, part.looked) == (300, 300, 300, 100)
    assert classes(whole.columns) == classes(part.columns) == {"c1": "email", "c2": "national_id"}
    assert 50 < part.columns[1].values < 160
    assert part.columns[1].confidence.low <= whole.columns[1].confidence.low
    data = json.dumps(whole.as_data()) + html("t", [whole.as_data()])
    assert "person7" not in data


def test_records_of_another_encoding_and_malformed_ones_are_counted(spark, tmp_path):
    lines = ["id;name", *(f"{n};J\u00fcrg" for n in range(3)), "3;Ann", "4", "5;Bo;x"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("cp1252"))

    def said(**options):
        source = Source.model_validate({"path": f"{tmp_path}/a.csv", "format": "csv", "options": {"header": "true", "sep": ";", **options}})  # fmt: skip
        return discover(spark, source).as_data()["warnings"], profile(spark, source).warnings

    found, profiled = said()
    assert tuple(found) == profiled
    garbled, broken = found
    assert garbled.startswith("3 of 6 records hold bytes that are not UTF-8")
    assert broken.startswith("2 of 6 records are malformed")
    assert said(encoding="windows-1252") == ([broken], (broken,))


def test_sources_that_are_none(spark, tmp_path):
    with pytest.raises(SourceError, match="no such path"):
        source_of(spark, "nothing_here", None, {})
    (tmp_path / "x").mkdir()
    with pytest.raises(SourceError, match="give --format"):
        source_of(spark, str(tmp_path / "x"), None, {})


# the gate in


def test_a_sensitive_column_without_a_word_is_refused_with_the_line_to_add(lake):
    lake.source(PEOPLE, SCHEMA)
    lake.contract(discovery=ON)
    with pytest.raises(ContractError) as caught:
        lake.publish()
    problems = {problem.where: problem for problem in caught.value.problems}
    assert set(problems) == {"columns.c1", "columns.c2"}
    assert "looks like email (confidence 0.9" in problems["columns.c1"].what or "1.00" in problems["columns.c1"].what
    assert "c1: {class: email, protect: token}" in problems["columns.c1"].remedy
    assert "person" not in str(caught.value)
    assert not (lake.root / "target").exists()


def test_a_class_or_a_reason_lets_it_through_and_stands_in_the_seal(lake):
    lake.source(PEOPLE, SCHEMA)
    columns = "{c1: {class: email, protect: token}, c2: {protect: {keep: {reason: numbers of cases}}}}"
    lake.contract(discovery=ON, columns=columns)
    result = lake.publish()
    assert result.status == "published"
    kept = [one for one in result.protections if one["column"] == "c2"]
    assert kept[0]["protection"] == "keep, reason 'numbers of cases'"
    assert lake.verify().holds
    assert {one["column"] for one in result.discovered} == {"id", "status", "points"}


def test_a_gate_that_warns(lake):
    lake.source(PEOPLE, SCHEMA)
    lake.contract(discovery="{gate: warn}")
    result = lake.publish()
    assert result.status == "published"
    assert len([told for told in result.warnings if "looks like" in told]) == 2


def test_nothing_is_looked_at_where_nothing_leaves_readable(lake, jobs_of):
    lake.source([("a@b.org",)], "c1 string")
    lake.contract(discovery=ON, columns="{c1: {class: email, protect: token}}")
    assert lake.publish().discovered == []


def test_custom_detectors_guard_the_gate(lake):
    lake.source([(f"E-{n:06}",) for n in range(100)], "c1 string")
    (lake.root / "d.yaml").write_text("detectors:\n  staff_id: {regex: 'E-[0-9]{6}'}\n")
    lake.contract(discovery=f"{{detectors: {lake.root}/d.yaml}}")
    with pytest.raises(ContractError, match="looks like staff_id"):
        lake.publish()


# the gate out


def test_residue_inside_of_a_comment_stops_the_run(lake):
    rows = [(n, "all fine" if n % 40 else "card 4111 1111 1111 1111 please") for n in range(200)]
    lake.source(rows, "id int, note string")
    lake.contract(discovery=ON)
    result = lake.publish()
    assert result.status == "stopped"
    assert result.reasons == ["discovery: column 'note' (kept): payment_card inside of 45.00% of its different texts"]
    assert not (lake.root / "target").exists()


def test_redact_text_takes_the_residue_away_and_joins_the_column(lake, spark):
    rows = [(n, f"user{n}@x.org", f"write to user{n}@x.org about order {n}") for n in range(60)]
    lake.source(rows, "id int, mail string, note string")
    columns = "{mail: {class: email, protect: token}, note: {class: free_text, protect: redact_text}}"
    lake.contract(discovery=ON, columns=columns)
    result = lake.publish()
    assert result.status == "published"
    assert [line.partition(":")[0] for line in result.warnings] == ["column 'note' (under redact_text) holds free text"]
    for _, mail, note in lake.rows():
        assert note.startswith(f"write to <EMAIL:{mail}> about order ")


def test_a_mask_that_hides_nothing_is_residue(lake):
    lake.source([(n, f"user{n}@x.org") for n in range(60)], "id int, mail string")
    lake.contract(discovery=ON, columns="{mail: {class: email, protect: {mask: {keep_first: 1, keep_last: 7}}}}")
    assert lake.publish().status == "published"
    lake.contract(discovery=ON, columns="{mail: {class: contact, protect: {generalize: {prefix: 11, invalid: null}}}}")
    result = lake.publish()
    assert result.status == "stopped"
    assert "email" in result.reasons[0]


def test_inside_of_json_the_line_to_add_names_the_path(lake):
    lake.source([(json.dumps({"u": {"m": f"u{n}@x.org"}}),) for n in range(80)], "doc string")
    lake.contract(discovery=ON)
    with pytest.raises(ContractError) as caught:
        lake.publish()
    assert "doc: {protect: {json: {fields: {u.m: {class: email" in caught.value.problems[0].remedy


def test_columns_with_dots_colons_and_backticks_in_their_names_are_guarded_too(spark, lake):
    rows = [(f"u{n}@x.org", n, f"v{n}@x.org", n) for n in range(60)]
    frame = spark.createDataFrame(rows, "`mail: work` string, `a.b` int, `c.d: e` string, `f``g` int")
    frame.write.parquet(str(lake.root / "odd"))
    lake.contract(discovery=ON, source=f"{{format: parquet, path: {lake.root}/odd}}")
    with pytest.raises(ContractError) as caught:
        lake.publish()
    assert {problem.where for problem in caught.value.problems} == {"columns.mail: work", "columns.c.d: e"}


def test_a_part_that_is_shifted_by_another_column_is_looked_at_with_it(lake):
    rows = [(f"p{n % 7}", ("2020-01-05", "all fine")) for n in range(60)]
    lake.source(rows, "who string, visit struct<day: string, note: string>")
    columns = "{who: {protect: token}, visit.day: {protect: {date_shift: {by: who, format: '%Y-%m-%d'}}}}"
    lake.contract(discovery=ON, columns=columns)
    result = lake.publish()
    assert result.status == "published"
    assert "visit.note" in {one["column"] for one in result.discovered}


@pytest.mark.parametrize("row", ["u0@x.org", json.dumps({"m": "u0@x.org", "null": 1})])
def test_the_line_to_add_is_one_that_the_contract_takes(lake, row):
    lake.source([(row.replace("u0", f"u{n}"),) for n in range(60)], "c1 string")
    lake.contract(discovery=ON)
    with pytest.raises(ContractError) as caught:
        lake.publish()
    line = caught.value.problems[0].remedy.removeprefix("add  ").partition("  or, if")[0]
    lake.contract(discovery=ON, columns=f"{{{line}}}")
    assert lake.publish().status == "published"


# estates and drafts


@pytest.mark.long
def test_an_estate_is_looked_at_once_and_goes_on_where_it_stopped(spark, lake, tmp_path):
    lake.source(PEOPLE, SCHEMA, "lake/people")
    lake.source([(n, f"p{n}") for n in range(50)], "id int, code string", "lake/sub/plain")
    spark.createDataFrame([(f"10.20.30.{n}",) for n in range(200)], "ip string").write.parquet(
        str(lake.root / "lake/logs")
    )
    (lake.root / "lake" / "cards.csv").write_text(
        "card\n" + "4111111111111111\n5500005555555559\n340000000000009\n" * 5
    )
    told = []
    tables, failed = discover_all(spark, str(lake.root / "lake"), Asked(), str(tmp_path), told.append)
    assert not failed
    found = {
        t["table"].rpartition("lake/")[2]: {c["name"]: c["class"] for c in t["columns"] if c["class"]} for t in tables
    }
    assert found == {
        "people": {"c1": "email", "c2": "national_id"},
        "sub/plain": {},
        "logs": {"ip": "ip_address"},
        "cards.csv": {"card": "payment_card"},
    }
    state = tmp_path / "estate.jsonl"
    state.write_text(
        "\n".join(state.read_text().splitlines()[:2]) + '\n{"mark": "cut o'
    )  # as a run that was killed leaves it
    again, _ = discover_all(spark, str(lake.root / "lake"), Asked(), str(tmp_path), told.append)
    assert again == tables
    assert sum("(known)" in line for line in told[4:]) == 2
    page = html("lake", tables)
    assert "ip_address" in page
    assert "person7" not in page


def test_an_estate_of_the_catalog(spark, tmp_path):
    spark.sql("CREATE DATABASE estate")
    try:
        spark.createDataFrame([(f"u{n}@x.org",) for n in range(50)], "c1 string").write.format("delta").saveAsTable(
            "estate.people"
        )
        spark.createDataFrame([(f"10.20.130.{n}",) for n in range(50)], "c1 string").write.format(
            "parquet"
        ).saveAsTable("estate.logs")
        tables, failed = discover_all(spark, "estate", Asked(), str(tmp_path))
        assert not failed
        assert {t["table"]: t["columns"][0]["class"] for t in tables} == {
            "estate.people": "email",
            "estate.logs": "ip_address",
        }
        assert source_of(spark, "estate.logs", None, {}) == Source(table="estate.logs", format="parquet")
    finally:
        spark.sql("DROP DATABASE estate CASCADE")


def test_an_estate_is_kept_in_a_local_folder(spark, lake):
    with pytest.raises(UsageError, match="local folder"):
        discover_all(spark, str(lake.root), Asked(), "s3://bucket/reports")


def test_an_estate_without_tables(spark, tmp_path):
    with pytest.raises(UsageError, match="no table"):
        discover_all(spark, str(tmp_path), Asked(), str(tmp_path))


def test_protected_tables_are_told_from_readable_ones_and_dataward_s_own_records_left_out(spark, lake, tmp_path):
    lake.source(PEOPLE, SCHEMA)
    columns = (
        "{c1: {class: email, protect: token}, c2: {class: national_id, protect: encrypt}, status: {protect: redact}}"
    )
    beside = "quarantine: {{path: {root}/quarantine}}\nhistory: {{}}"
    lake.contract('ColumnValues "points" > 10', columns=columns, extra=beside)
    lake.publish()
    found = discover(spark, Source(path=str(lake.root / "target")), Asked())
    assert classes(found.columns) == {"c1": "protected", "c2": "protected", "status": "protected"}
    told = []
    shutil.rmtree(lake.root / "reports")
    tables, failed = discover_all(spark, str(lake.root), Asked(), str(tmp_path / "report"), told.append)
    assert not failed
    assert {t["table"].rpartition("/")[2] for t in tables} == {"source", "target", "quarantine"}
    (quarantine,) = (t for t in tables if t["table"].endswith("quarantine"))
    assert [column["name"] for column in quarantine["columns"]] == ["id", "c1", "c2", "status", "points"]
    out = [line.partition("left out, it is ")[2] for line in told if "left out" in line]
    assert out == ["a history of Dataward's own"]


def test_a_draft_publishes(spark, lake):
    rows = [
        (*row, f"mail {row[1]}", json.dumps({"m": row[1]}), row[0] % 2 == 0, b"\0", f"030 901820{row[0] % 100:02}",
         (row[1], True), [row[1]], {"tel": f"030 901820{row[0] % 100:02}"}, f"please call me back about order {row[0]}")
        for row in PEOPLE
    ]  # fmt: skip
    more = "note string, doc string, flag boolean, raw binary, tel string, who struct<mail: string, ok: boolean>, mails array<string>, m map<string, string>"
    path = lake.source(rows, f"{SCHEMA}, {more}, remark string")
    found = discover(spark, Source(path=path), Asked())
    text = drafted(Source(path=path), found)
    text = text.replace("lake/source", str(lake.root / "target")).replace(
        "path: conf/keys, domain: source", f"path: {lake.root}/keys, domain: t"
    )
    (lake.root / "draft.yaml").write_text(text)
    result = publish(spark, plan(lake.root / "draft.yaml"), None, str(lake.root / "reports"))
    assert result.status == "published", result
    assert "person7@" not in repr(lake.rows())
    assert "030 901820" not in repr(lake.rows())  # with its space, so that no token holds it by chance
    assert "please call me back" in repr(lake.rows())


def test_a_row_s_own_values_leave_its_text_in_spark_as_in_a_model_server(spark, lake):
    rows = [
        (n, f"p{n % 40}", f"Zoltar Quill{'abcdefgh'[n % 8]}", f"MR-{70000 + n}", f"Pt. QUILL{'ABCDEFGH'[n % 8]}, mrn MR-{70000 + n}, is fine {n}")
        for n in range(120)
    ]  # fmt: skip
    lake.source(rows, "id int, who string, name string, mrn string, note string")
    columns = (
        "{who: {protect: token}, name: {class: person_name, protect: token}, "
        f"mrn: {{class: health_id, protect: {{shred: {{path: {lake.root}/subjects}}}}}}, "
        "note: {class: free_text, protect: {redact_text: {also: [name, mrn]}}}}"
    )
    extra = "quarantine: {{path: {root}/quarantine}}\nerasure: {{subject: who}}"
    lake.contract(discovery=ON, columns=columns, extra=extra)
    result = lake.publish()
    assert (result.status, result.warnings) == ("published", [])
    lake.contract(columns=columns.replace(f"{{shred: {{path: {lake.root}/subjects}}}}", "token"), extra=extra)
    serving = Protector(lake.root / "contract.yaml")
    for (n, who, name, mrn, note), (_, _, made, _, text) in zip(rows, sorted(lake.rows(), key=lambda row: row[0]), strict=True):  # fmt: skip
        served = serving({"id": n, "who": who, "name": name, "mrn": mrn, "note": note})
        assert text == f"Pt. <PERSON_NAME:{made}>, mrn <HEALTH_ID:{served['mrn']}>, is fine {n}" or "mrn <" not in text
        assert served["note"] == text
        assert f"MR-{70000 + n}" not in text
