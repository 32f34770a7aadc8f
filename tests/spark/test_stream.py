"""Streams: every batch exactly once, through kills at random points; checkpoint and target never disagree."""

import json
import random
import shutil

import pytest

from dataward import report
from dataward.errors import SourceChanged, SourceError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.pipeline import publish as publish_module
from dataward.pipeline.intake import WholeTable
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.pipeline.windows import windows
from dataward.spark.session import isolated
from dataward.tables import commits, delta
from dataward.verbs.batches import bounded
from dataward.verbs.quarantine import batches
from dataward.verbs.stream import stream

pytestmark = pytest.mark.long

SCHEMA = "id int, name string, n int"
COLUMNS = "{name: {class: person_name, protect: token}}"
RULES = 'ColumnValues "n" >= 0'
APPEND = "mode: append"


def arrive(lake, first, count=6):
    """One more file of rows; every third breaks the rule."""
    rows = [(first + n, f"p{(first + n) % 5}", -1 if n % 3 == 0 else n) for n in range(count)]
    lake.spark.createDataFrame(rows, SCHEMA).coalesce(1).write.format("delta").mode("append").save(
        str(lake.root / "source")
    )


def start(lake, checkpoint="checkpoint", **more):
    return stream(
        lake.spark,
        plan(lake.root / "contract.yaml"),
        str(lake.root / checkpoint),
        report_folder=str(lake.root / "reports"),
        **more,
    )


@pytest.fixture
def streaming(lake):
    for batch in range(3):
        arrive(lake, 10 * batch)
    source = f"{{path: {lake.root}/source, options: {{maxFilesPerTrigger: 1}}}}"
    lake.contract(rules=RULES, columns=COLUMNS, target=APPEND, source=source)
    return lake


def everything(lake):
    return lake.rows("target", "id", "n"), lake.rows("quarantine", "id", "failed_rules")


def test_what_came_since_the_checkpoint_is_published_once(streaming):
    results = start(streaming)
    assert [result.rows["published"] for result in results] == [4, 4, 4]
    assert [result.rows["quarantined"] for result in results] == [2, 2, 2]
    assert start(streaming) == []
    arrive(streaming, 30)
    assert [result.rows["in"] for result in start(streaming)] == [6]
    assert len(streaming.rows()) == 16
    assert len({row[1] for row in streaming.rows("target", "id", "name")}) == 4  # tokens join across batches
    assert streaming.verify().holds
    assert {batch.waiting for batch in batches(streaming.spark, plan(streaming.root / "contract.yaml"))} == {2}


def test_a_batch_publish_into_a_streamed_target_is_refused(streaming):
    start(streaming)
    with pytest.raises(UsageError, match="is a batch of a stream .* would append all rows of the source again"):
        publish(streaming.spark, plan(streaming.root / "contract.yaml"), None, str(streaming.root / "reports"))
    assert streaming.versions() == 3


def test_killed_before_and_after_each_step_the_tables_are_those_of_an_unbroken_run(streaming, monkeypatch):
    """In random order, at a random call of the step, with more rows on the way."""
    points = [
        (commits, "append_once"),
        (commits, "commit_target"),
        (ledger, "append"),
        (report, "write"),
        (WholeTable, "account"),
        (delta, "find_run"),
    ]
    draw, kills = random.Random(8), 0
    deaths = [(place, name, late) for place, name in points for late in (False, True)]
    draw.shuffle(deaths)

    class Killed(BaseException):
        pass

    def dying(function, calls, late):
        left = [calls]

        def run(*given, **more):
            left[0] -= 1
            if left[0] == 0 and not late:
                raise Killed
            made = function(*given, **more)
            if left[0] == 0:
                raise Killed
            return made

        return run

    for number, (place, name, late) in enumerate(deaths):
        for attempt in range(3):
            with monkeypatch.context() as patch:
                patch.setattr(place, name, dying(getattr(place, name), 1 if attempt else draw.randint(1, 2), late))
                try:
                    start(streaming)
                except Killed:
                    kills += 1
                    break
            arrive(streaming, 100 + 10 * (3 * number + attempt))  # too few were left for this step
    assert kills == len(deaths)
    start(streaming)
    source = streaming.spark.read.format("delta").load(str(streaming.root / "source"))
    assert streaming.rows("target", "id", "n") == sorted(
        (tuple(row) for row in source.where("n >= 0").select("id", "n").collect()), key=repr
    )
    assert streaming.rows("quarantine", "id") == sorted(
        (tuple(row) for row in source.where("n < 0").select("id").collect()), key=repr
    )
    assert streaming.verify().holds
    sealed = [json.loads(entry.seal_text)["run_id"] for entry in streaming.entries()]
    assert len(sealed) == len(set(sealed))


def test_a_batch_that_stops_ends_the_stream_and_is_tried_again(streaming):
    text = (streaming.root / "contract.yaml").read_text()
    (streaming.root / "contract.yaml").write_text(
        text.replace("default: keep", "default: keep\nlimits: {quarantined: 0.1}")
    )
    results = start(streaming)
    assert [result.status for result in results] == ["stopped"]
    assert streaming.versions() == 0
    (streaming.root / "contract.yaml").write_text(text)
    assert [result.status for result in start(streaming)] == ["published"] * 3


def test_files_are_streamed_with_records_that_cannot_be_read(lake):
    folder = lake.root / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("id,name\n1,ada\nx,bob\n")
    lake.contract(
        columns=COLUMNS,
        target=APPEND,
        source=f"{{format: csv, path: {folder}, options: {{header: true}}, schema: 'id INT, name STRING'}}",
    )
    assert [result.rows for result in start(lake)] == [{"in": 2, "published": 1, "quarantined": 1, "dropped": 0}]
    (folder / "b.csv").write_text("id,name\n2,eve\n")
    assert [result.rows["published"] for result in start(lake)] == [1]


def test_windows_add_up_over_batches_also_with_late_rows(lake, monkeypatch):
    def come(*rows):
        frame = lake.spark.createDataFrame(rows, "id int, at string, n int, pay int")
        frame.write.format("delta").mode("append").save(str(lake.root / "source"))

    come((1, "2026-01-01 10:05:00", 5, 1), (2, "2026-01-01 10:50:00", -1, 1), (3, "2026-01-01 11:10:00", None, 1))
    come((4, "2026-01-01 11:20:00", 7, 1), (5, "2026-01-01 10:59:59", 3, 1), (6, None, 3, 1))
    rules = 'ColumnValues "n" >= 0, Completeness "n" > 0, Mean "n" > 0 labels=["severity"="warning"], RowCount > 0, Sum "pay" > 0, IsUnique "id"'
    lake.contract(
        rules=rules,
        target=APPEND,
        source=f"{{path: {lake.root}/source, options: {{maxFilesPerTrigger: 1}}}}",
        columns="{pay: {class: salary, protect: token}}",
        extra="quarantine: {{path: {root}/quarantine}}\nwindows: {{column: at, length: 1 hour}}",
    )
    with monkeypatch.context() as patch:
        patch.setattr(publish_module, "seal_version", lambda *given, **more: 1 / 0)
        with pytest.raises(TargetError, match="is committed and not sealed yet"):
            start(lake)
    assert windows(lake.spark, plan(lake.root / "contract.yaml")) == []  # nothing is sealed yet
    start(lake)
    found = {
        (one.start[11:13], one.rule.split(" labels")[0]): (one.count, one.measured)
        for one in windows(lake.spark, plan(lake.root / "contract.yaml"))
    }
    assert found == {
        ("10", "rows"): (3, 3.0),
        ("10", 'ColumnValues "n" >= 0'): (3, pytest.approx(2 / 3)),
        ("10", 'Completeness "n" > 0'): (3, 1.0),
        ("10", 'Mean "n" > 0'): (3, pytest.approx(7 / 3)),
        ("10", "RowCount > 0"): (3, 3.0),
        ("11", "rows"): (2, 2.0),
        ("11", 'ColumnValues "n" >= 0'): found["11", 'ColumnValues "n" >= 0'],
        ("11", 'Completeness "n" > 0'): (2, 0.5),
        ("11", 'Mean "n" > 0'): (1, 7.0),
        ("11", "RowCount > 0"): (2, 2.0),
    }  # the sum of a sensitive column would be a value where a window holds one row


def test_windows_of_files_whose_records_cannot_all_be_read(lake):
    (lake.root / "in.csv").write_text("id,at\n1,2026-01-01 10:05:00\nx,2026-01-01 10:06:00\n2,2026-01-01 10:50:00\n")
    source = f"{{format: csv, path: {lake.root}/in.csv, options: {{header: true}}, schema: 'id INT, at TIMESTAMP'}}"
    extra = "quarantine: {{path: {root}/quarantine}}\nwindows: {{column: at, length: 1 hour}}"
    assert lake.publish(source=source, rules='IsComplete "id"', extra=extra).rows["published"] == 2
    found = {one.rule: (one.count, one.measured) for one in windows(lake.spark, plan(lake.root / "contract.yaml"))}
    assert found == {
        "rows": (3, 3.0),
        "record is well formed": (3, pytest.approx(2 / 3)),
        'IsComplete "id"': (3, pytest.approx(2 / 3)),
    }


def test_what_is_no_stream_is_refused(streaming):
    streaming.contract(columns=COLUMNS)
    with pytest.raises(UsageError, match="mode overwrite would lose the batches before"):
        start(streaming)
    streaming.contract(columns=COLUMNS, target=APPEND, source=f"{{path: {streaming.root}/source, version: 1}}")
    with pytest.raises(UsageError, match="a stream has no version"):
        start(streaming)


def bound(lake, checkpoint="bounded"):
    """As through Spark Connect, which has no classic session's batches."""
    planned = plan(lake.root / "contract.yaml")
    with isolated(lake.spark) as own:
        return list(bounded(own, planned, str(lake.root / checkpoint), str(lake.root / "reports"), lambda line: None))


def test_batches_that_the_client_bounds_take_each_commit_of_a_table_once(lake):
    arrive(lake, 0)
    lake.contract(rules=RULES, columns=COLUMNS, target=APPEND)
    (first,) = bound(lake)
    assert (first.rows["in"], first.rows["published"]) == (6, 4)
    assert bound(lake) == []
    arrive(lake, 10)
    arrive(lake, 20)
    lake.spark.sql(f"optimize delta.`{lake.root}/source`")  # changes no row
    (second,) = bound(lake)
    assert (second.rows["in"], second.run_id[:-1]) == (12, first.run_id[:-1])
    (lake.root / "bounded/batches/00000001.done").unlink()  # as if killed after the seal
    assert [one.status for one in bound(lake)] == ["unchanged"]
    assert sorted(row[0] for row in lake.rows("target", "id")) == [1, 2, 4, 5, 11, 12, 14, 15, 21, 22, 24, 25]
    lake.contract(
        rules=RULES,
        columns=COLUMNS,
        target="mode: append",
        source=f"{{path: {lake.root}/source, options: {{startingVersion: 2}}}}",
    )
    assert [one.rows["in"] for one in bound(lake, "later")] == [6]
    lake.contract(rules=RULES, columns=COLUMNS, target=APPEND)
    lake.spark.sql(f"delete from delta.`{lake.root}/source` where id = 1")
    with pytest.raises(SourceError, match=r"version 4 \(DELETE\) changed or removed rows"):
        bound(lake)


def test_batches_that_the_client_bounds_take_each_file_of_a_folder_once(lake):
    folder = lake.root / "in"
    folder.mkdir()

    def put(name, *rows):
        (folder / name).write_text("id,name,n\n" + "".join(f"{row},p,{row}\n" for row in rows))

    put("a.csv", 1, 2)
    source = f'{{format: csv, path: {folder}, options: {{header: true}}, schema: "{SCHEMA}"}}'
    lake.contract(rules=RULES, columns=COLUMNS, target=APPEND, source=source)
    assert [one.rows["in"] for one in bound(lake)] == [2]
    put("b.csv", 3, -4)
    lake.contract(rules=RULES + ",\nRowCount > 2", columns=COLUMNS, target=APPEND, source=source)
    assert [one.status for one in bound(lake)] == ["stopped"]
    put("c.csv", 5)
    lake.contract(rules=RULES, columns=COLUMNS, target=APPEND, source=source)
    before = (folder / "b.csv").read_text()
    put("b.csv", 3, 4, 6)
    with pytest.raises(SourceChanged, match="files of the batch under way were changed or removed"):
        bound(lake)
    (folder / "b.csv").write_text(before)
    with pytest.raises(SourceChanged):  # the same bytes at another time: only a new checkpoint helps
        bound(lake)
    (folder / "a.csv").unlink()  # a file that is done may go
    shutil.rmtree(lake.root / "bounded")
    assert [(one.rows["in"], one.rows["quarantined"]) for one in bound(lake)] == [(3, 1)]
    (lake.root / "elsewhere/offsets").mkdir(parents=True)
    (lake.root / "elsewhere/offsets/0").touch()
    with pytest.raises(UsageError, match="Structured Streaming's"):
        bound(lake, "elsewhere")
