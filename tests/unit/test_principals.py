"""Who asks: the process, an ARN or Databricks, and no variable of the environment."""

import os
import pwd

import pytest

from dataward.access.decide import Principal
from dataward.access.principals import of_arn, of_databricks, of_process
from dataward.errors import UsageError
from tests.policies import contract_with


def test_no_environment_variable_changes_the_principal(monkeypatch):
    for name in ("USER", "LOGNAME", "SPARK_USER", "HADOOP_USER_NAME", "SUDO_USER", "USERNAME"):
        monkeypatch.setenv(name, "root-of-all")
    found = of_process()
    assert (found.name, found.kind) == (pwd.getpwuid(os.getuid()).pw_name, "os")
    assert found.groups


def test_databricks_needs_more_than_its_variable(monkeypatch):
    from dataward.access.site import settings as settings_of
    from dataward.pipeline.guard import asker

    class Session:
        def sql(self, text):
            raise AssertionError("asked")

    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    monkeypatch.setenv("SPARK_USER", "boss")
    contract = contract_with()
    assert asker(Session(), contract, settings_of(contract)).kind == "os"
    explicit = contract_with(access={"identity": "databricks"})
    with pytest.raises(UsageError, match="on Databricks"):
        asker(Session(), explicit, settings_of(explicit))


@pytest.mark.parametrize(("arn", "groups"), [
    ("arn:aws:sts::111122223333:assumed-role/Analyst/ana", ("role:Analyst", "arn:aws:iam::111122223333:role/Analyst", "account:111122223333")),
    ("arn:aws:iam::111122223333:user/team/ana", ("account:111122223333",)),
    ("arn:aws-cn:sts::111122223333:assumed-role/A/b/c", ("role:A", "arn:aws-cn:iam::111122223333:role/A", "account:111122223333")),
    ("role:Analyst", ()), ("arn:aws:sts::1:assumed-role/Analyst/x", ()),
])  # fmt: skip
def test_groups_of_an_arn_are_its_role_and_account(arn, groups):
    assert of_arn(arn) == Principal(arn, "sts", groups)


def test_groups_of_databricks_are_those_that_the_session_confirms():
    class Session:
        def sql(self, text):
            row = ("ana@x.org",) if "current_user" in text else (None, "'it''s'" in text or "analysts" in text)
            return type("Frame", (), {"first": lambda self: row})()

    assert of_databricks(Session(), ["analysts", "boss"]) == Principal("ana@x.org", "databricks", ("analysts",))
