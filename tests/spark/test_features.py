"""Table features met in the wild, as source and as target: the rows are right, the seal holds, and the owner's declarations stay."""

import contextlib
import json
import shutil

import pytest
from delta.tables import DeltaTable, IdentityGenerator

from dataward.contract import Location
from dataward.errors import ContractError, SourceError, TargetError
from dataward.pipeline.plan import plan
from dataward.tables import delta, log
from dataward.verbs.verify import Asked, verify
from tests.installed import SPARK4

SCHEMA = "id int, name string, age int, day date"
VALUES = "values (1, 'ada', 30, date'2024-01-01'), (2, 'bob', 40, date'2024-01-01'), (3, 'eve', 50, date'2024-01-02')"
ROWS = [(1, "2024-01-01"), (2, "2024-01-01"), (3, "2024-01-02")]


def created(schema=SCHEMA, tail="", **properties):
    def make(spark, table):
        told = ", ".join(f"'delta.{name}' = '{value}'" for name, value in properties.items())
        spark.sql(
            f"create table {table} ({schema}) using delta {tail} comment 'people' "
            + (f"tblproperties ({told})" if told else "")
        )

    return make


def then(make, *statements):
    def both(spark, table):
        make(spark, table)
        for statement in statements:
            spark.sql(statement.format(table=table))

    return both


def built(**more):
    def make(spark, table):
        builder = DeltaTable.create(spark).location(table.strip("`").removeprefix("delta.`"))
        for column in SCHEMA.split(", "):
            builder = builder.addColumn(*column.split())
        builder.addColumn("more", "bigint", **more).execute()

    return make


OLD = SCHEMA.replace("name", "nick").replace("age int", "age int, gone int")
RENAMED = ("alter table {table} rename column nick to name", "alter table {table} drop column gone")
FEATURES = {
    "columns renamed and dropped (mapping by name)": then(created(OLD, **{"columnMapping.mode": "name"}), *RENAMED),
    "mapping by ID": created(**{"columnMapping.mode": "id"}),
    "deletion vectors": created(enableDeletionVectors="true"),
    "identity": built(generatedAlwaysAs=IdentityGenerator()),
    "generated": built(generatedAlwaysAs="cast(age * 2 as bigint)"),
    "default": created(f"{SCHEMA}, more string default 'here'", **{"feature.allowColumnDefaults": "supported"}),
    "CHECK and NOT NULL": then(
        created(SCHEMA.replace("id int", "id int not null comment 'key'")),
        "alter table {table} add constraint positive check (id > 0)",
    ),
    "char and varchar": created(SCHEMA.replace("age int", "age int, more varchar(9), code char(4)")),
    "clustering": created(tail="cluster by (day)"),
    "change data feed": created(enableChangeDataFeed="true"),
    "row tracking": created(enableRowTracking="true"),
    "type widening": then(
        created(SCHEMA.replace("id int", "id smallint"), enableTypeWidening="true"), "alter table {table} alter column id type int"
    ),
    "v2 checkpoints": created(checkpointPolicy="v2", checkpointInterval="2"),
    "partitions and properties": created(tail="partitioned by (day)", logRetentionDuration="interval 90 days"),
    "commit timestamps": created(enableInCommitTimestamps="true"),
}  # fmt: skip
WILD = then(
    created(
        OLD.replace("id int", "id int not null comment 'key'"),
        "cluster by (day)",
        **{"columnMapping.mode": "name", "enableDeletionVectors": "true", "enableChangeDataFeed": "true", "checkpointPolicy": "v2"},
        enableRowTracking="true", checkpointInterval="2",
    ),
    *RENAMED,
    "alter table {table} add constraint positive check (id > 0)",
)  # fmt: skip


def made(lake, feature, name):
    table = f"delta.`{lake.root}/{name}`"
    feature(lake.spark, table)
    return table


def filled(lake, feature):
    """A source with the feature: three rows, one of which was deleted and written again."""
    table = made(lake, feature, "source")
    for statement in (f"insert into {table} (id, name, age, day) {VALUES}", f"delete from {table} where id = 2",
                      f"insert into {table} (id, name, age, day) values (2, 'bob', 40, date'2024-01-01')"):  # fmt: skip
        lake.spark.sql(statement)


def declared(lake):
    """What the owner declared, from the log: schema, properties that are not of statistics, partitions, clustering, features."""
    place = Location(path=f"{lake.root}/target")
    newest, state = (
        delta.newest(lake.spark, place),
        log.snapshot(lake.spark, place, delta.latest_version(lake.spark, place)),
    )
    metadata = json.loads(state.metadata().json())["metaData"]
    schema = json.loads(metadata["schemaString"])
    for column in schema["fields"]:
        column["metadata"].pop("delta.identity.highWaterMark", None)
    properties = {name: value for name, value in metadata["configuration"].items() if "dataSkipping" not in name}
    features = json.loads(state.protocol().json())["protocol"].get("writerFeatures") or []
    return schema, properties, metadata.get("description"), newest.partition_by, newest.clustered_by, sorted(features)


def proved(lake):
    """What does not hold, without Spark and with the digest of the rows."""
    planned = plan(lake.root / "contract.yaml")
    found = verify(None, planned, asked=Asked()).checks + verify(lake.spark, planned).checks
    return [check.detail for check in found if not check.holds]


def told(lake):
    return sorted((row.id, str(row.day)) for row in lake.read().select("id", "day").collect())


def contract(lake, mode="mode: overwrite", columns="{name: {class: person_name, protect: token}}"):
    return {"target": mode, "columns": columns, "rules": 'IsComplete "id"', "extra": "engine: spark"}


def test_a_table_with_many_features_is_published_into_and_keeps_all_that_its_owner_declared(lake):
    made(lake, WILD, "target")
    before = declared(lake)
    filled(lake, created())
    for mode in ("mode: overwrite", "mode: merge, on: [id]", "mode: overwrite"):
        assert lake.publish(**contract(lake, mode)).status == "published"
        assert declared(lake) == before
        assert told(lake) == ROWS
    assert before[4] == ("day",)
    assert proved(lake) == []


def test_a_table_with_many_features_is_a_source(lake):
    filled(lake, WILD)
    assert lake.publish(**contract(lake)).rows["published"] == 3
    assert told(lake) == ROWS
    assert proved(lake) == []


@pytest.mark.long
@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_works_in_a_source_and_in_a_target(lake, feature):
    filled(lake, FEATURES[feature])
    columns = "{name: {class: person_name, protect: token}"
    columns += ", more: {protect: drop}" if "more" in lake.read("source").columns else ""
    columns += ", code: {protect: drop}" if "code" in lake.read("source").columns else ""
    assert lake.publish(**contract(lake, columns=columns + "}")).rows["published"] == 3
    assert (told(lake), proved(lake)) == (ROWS, [])
    for name in ("target", "target_ledger", "source"):
        shutil.rmtree(lake.root / name)
    lake.forget()
    made(lake, FEATURES[feature], "target")
    before = declared(lake)
    filled(lake, created())
    for mode in ("mode: overwrite", "mode: merge, on: [id]", "mode: overwrite"):
        lake.publish(**contract(lake, mode))
        assert (told(lake), declared(lake)) == (ROWS, before)
    assert proved(lake) == []


def test_an_append_only_target_is_refused_before_the_run_in_every_mode_that_removes_rows(lake):
    made(lake, created(appendOnly="true"), "target")
    filled(lake, created())
    for mode in ("mode: overwrite", "mode: merge, on: [id]"):
        with pytest.raises(ContractError, match="is append-only .*, and mode .* removes rows; use mode append"):
            lake.publish(**contract(lake, mode))
    assert lake.versions() == 1


def test_a_feature_that_this_delta_does_not_know_is_named_before_the_run(lake):
    for name in ("source", "target"):
        made(lake, created(), name)
        commit = lake.root / name / "_delta_log/00000000000000000000.json"
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        for line in lines:
            if "protocol" in line:
                features = {"readerFeatures": ["fromTheFuture"], "writerFeatures": ["fromTheFuture"]}
                line["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
        commit.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for sidecar in (lake.root / name / "_delta_log").glob(".*.crc"):
            sidecar.unlink()
        for checksum in (lake.root / name / "_delta_log").glob("*.crc"):
            checksum.unlink()
    lake.forget()
    with pytest.raises(TargetError, match="a feature that this Delta does not know.*fromTheFuture.*Nothing was read"):
        lake.publish(**contract(lake))
    shutil.rmtree(lake.root / "target")
    with pytest.raises(SourceError, match="a feature that this Delta does not know.*fromTheFuture"):
        lake.publish(**contract(lake))


def test_a_table_whose_newest_commit_has_no_file_is_refused_before_the_run(lake, monkeypatch):
    """As where a catalog manages the commits: the version is there, its file is not."""
    made(lake, created(), "target")
    filled(lake, created())
    monkeypatch.setattr(log, "commit_info", lambda *_: None)
    with pytest.raises(
        TargetError, match=r"its log has no file of version 0 \(.*_delta_log\), as where a catalog manages"
    ):
        lake.publish(**contract(lake))
    assert lake.versions() == 1


@pytest.fixture
def coordinated(spark):
    """Properties of tables whose commits a coordinator of Delta's own keeps aside, until a hundred of them wait."""
    jvm = spark.sparkContext._jvm.org.apache.spark.sql.delta.coordinatedcommits
    provider, builder = jvm.CommitCoordinatorProvider, jvm.InMemoryCommitCoordinatorBuilder(100)
    with contextlib.suppress(Exception):  # a session has one, for all tests
        provider.registerBuilder(builder)
    name = "coordinatedCommits.commitCoordinator"
    return {f"{name}-preview": builder.getName(), f"{name}Conf-preview": "{}"}


@pytest.mark.skipif(SPARK4, reason="coordinators of Delta 4 load classes of the AWS SDK 1 for DynamoDB")
def test_commits_that_a_coordinator_keeps_aside_are_copied_to_the_log_and_sealed(lake, coordinated):
    table = made(lake, created(**coordinated), "target")
    lake.spark.sql(f"insert into {table} {VALUES}")
    assert lake.versions() == 1  # of two
    filled(lake, created())
    for mode in ("mode: overwrite", "mode: merge, on: [id]"):
        assert lake.publish(**contract(lake, mode)).status == "published"
        assert told(lake) == ROWS
        assert lake.versions() == delta.latest_version(lake.spark, Location(path=f"{lake.root}/target")) + 1
    assert proved(lake) == []
