"""Settings and views of a Spark Connect session: set for a run, as before afterwards; platforms that refuse or hide them."""

import json
import re
from types import SimpleNamespace

import pytest

from dataward.errors import SessionError, SettingRefused, UsageError
from dataward.pipeline import connect
from dataward.spark import remote
from dataward.spark.settings import refuses, setting, settings
from dataward.spark.views import viewed
from dataward.tables.by_sql import SqlTable
from dataward.tables.deltalog.metadata import metadata_of
from dataward.tables.named import USER_METADATA, named
from tests.connected import Recording, Shared, contract


@pytest.fixture
def provided(monkeypatch):
    monkeypatch.setattr(remote, "READY", {"shared"})
    monkeypatch.setattr(remote, "_active", lambda: None)


@pytest.mark.usefixtures("provided")
def test_a_session_that_is_shared_has_its_own_settings_back_after_an_error_too():
    spark = Shared({"zone": "Asia/Tokyo", "kept": "1"})
    with pytest.raises(KeyError), remote.isolated(spark, {"zone": "UTC", "ansi": "false"}, {}) as own:  # noqa: PT012 - the error is the block's
        assert own is spark
        assert spark.settings == {"zone": "UTC", "kept": "1", "ansi": "false"}
        spark.set("more", "2")
        raise KeyError
    assert spark.settings == {"zone": "Asia/Tokyo", "kept": "1"}


@pytest.mark.usefixtures("provided")
def test_a_setting_that_a_platform_refuses_is_named_unless_its_value_is_right_already():
    with remote.isolated(Shared({"ansi": "False"}, fixed=("ansi", "hidden")), {"ansi": "false", "hidden": "1"}, {}):
        pass
    with (
        pytest.raises(SessionError, match=r"refuses settings that Dataward needs: ansi=false"),
        remote.isolated(Shared({"ansi": "true"}, fixed=("ansi",)), {"ansi": "false"}, {}),
    ):
        pass


@pytest.mark.usefixtures("provided")
def test_settings_are_restored_where_the_platform_lists_none():
    spark = Shared({"zone": "Asia/Tokyo", "mine": "1"}, lists=False)
    with remote.isolated(spark, {"zone": "UTC"}, {}):
        assert spark.settings["zone"] == "UTC"
    assert spark.settings == {"zone": "Asia/Tokyo", "mine": "1"}


@pytest.mark.usefixtures("provided")
def test_a_way_of_spark_4_that_cannot_be_changed_is_a_warning_that_names_it():
    spark = Shared({"zone": "UTC"}, fixed=("charsets", "batches"))
    with (
        pytest.warns(UserWarning, match="rare ones may differ .*: charsets$"),
        remote.isolated(spark, {"zone": "UTC", "batches": "9"}, {"charsets": "true"}),
    ):
        pass


class Named:
    """A session with temporary views; a frame is the text that it reads."""

    def __init__(self, **views: str) -> None:
        self.views, self.catalog = views, SimpleNamespace(dropTempView=lambda name: self.views.pop(name))

    def sql(self, text: str) -> SimpleNamespace:
        assert text == "SHOW VIEWS"
        rows = [SimpleNamespace(viewName=name) for name in self.views]
        return SimpleNamespace(where=lambda condition: SimpleNamespace(collect=lambda: rows))

    def table(self, name: str) -> SimpleNamespace:
        return self.frame(self.views[name])

    def frame(self, text: str) -> SimpleNamespace:
        def create(name: str) -> None:
            assert name not in self.views
            self.views[name] = text

        return SimpleNamespace(
            createTempView=create, createOrReplaceTempView=lambda name: self.views.update({name: text})
        )


def test_a_users_view_with_a_name_that_a_run_needs_is_as_before_after_an_error_too():
    spark = Named(primary="mine", other="o")
    with pytest.raises(KeyError), viewed(spark, {"primary": spark.frame("theirs"), "people": spark.frame("p")}):  # noqa: PT012 - the error is the block's
        assert (spark.views["primary"], spark.views["people"]) == ("theirs", "p")
        raise KeyError
    assert {name: text for name, text in spark.views.items() if name != "people"} == {"primary": "mine", "other": "o"}


def test_a_block_of_settings_is_undone_where_one_is_refused_and_hints_are_left_out():
    spark = Shared({"a": "1"}, fixed=("b",))
    with pytest.raises(SettingRefused, match="refuses the setting b"), settings(spark, {"a": "2", "b": "3"}):
        pass
    assert spark.settings == {"a": "1"}
    with settings(spark, {"a": "2", "b": "3", "c": "4"}, hints=True):
        assert spark.settings == {"a": "2", "c": "4"}
    assert spark.settings == {"a": "1"}
    assert (refuses(spark, "a", "b"), setting(spark, "b", "x"), setting(spark, "a")) == (["b"], "x", "1")


# serverless: metadata without a setting


def test_a_merge_has_its_metadata_in_the_condition_where_the_setting_is_refused():
    class Serverless(Recording):
        conf = Shared({}, fixed=(USER_METADATA,))

    spark, text = Serverless(), '{"dataward": 1, "run_id": "r-\u00fc", "mac": "f0"}'
    table = SqlTable(spark, "lake.t")
    with named(spark, text):
        table.merge(spark, "t.a = s.a or t.b = s.b").whenMatchedDelete().execute()
    table.merge(spark, "t.a = s.a").withSchemaEvolution().whenMatchedDelete().execute()
    marked, plain = (one for one in spark.said if one.startswith("merge"))
    assert plain.startswith("merge with schema evolution into lake.t as t using (select * from `")
    assert "dataward:" not in plain
    condition = re.search(r" as s on (.*) when matched", marked).group(1)
    assert condition.startswith("(t.a = s.a or t.b = s.b) and s.dataward_commit = 'dataward:")
    # As Delta writes it to the log: attributes have numbers, and no quotes stand around the text.
    logged = json.dumps([condition.replace("s.dataward_commit = '", "dataward_commit#7 = ").replace("'", "")])
    info = {"operation": "MERGE", "operationParameters": {"predicate": logged}}
    assert metadata_of(info) == json.loads(text)
    assert metadata_of({**info, "userMetadata": '{"run_id": "other"}'}) == {"run_id": "other"}
    assert metadata_of({**info, "operation": "DELETE"}) == {}


@pytest.mark.parametrize("info", [
    {}, {"operation": "MERGE"}, {"operation": "MERGE", "operationParameters": {"predicate": "dataward:_"}},
    {"operation": "MERGE", "operationParameters": {"predicate": "dataward:bm9qc29u"}}, {"userMetadata": "[" * 100_000},
    {"operation": "MERGE", "operationParameters": "x"}, {"userMetadata": 7},
])  # fmt: skip
def test_a_commit_without_readable_metadata_has_none(info):
    assert metadata_of(info) == {}


@pytest.mark.parametrize("verb", ["erase", "restore"])
def test_a_verb_that_would_end_half_done_is_refused_with_the_setting(verb):
    keys = connect.NEEDED[verb]
    with pytest.raises(UsageError, match=f"{verb} sets {keys[0]}"):
        connect.refuse(Shared({}, fixed=keys), contract(), verb)
    connect.refuse(Shared({}), contract(), verb)
    connect.refuse(Shared({}, fixed=keys), contract(), "publish")
