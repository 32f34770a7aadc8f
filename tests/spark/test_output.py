"""What is asked of protected rows before they are published: rules after, joins, policies, frequencies, parity."""

import pytest

from dataward.contract import Location
from dataward.errors import ContractError
from dataward.pipeline.plan import plan
from dataward.privacy.utility import recoverable
from dataward.tables import delta

POLICY = """\
policy: house
frequency: {frequency}
classes:
  email: {{protect: token, columns: ["*mail*"]}}
  national_id: {{protect: token, one_way: true}}
  postcode: {{protect: {{generalize: {{prefix: 3}}}}}}
  note: {{protect: redact}}
"""


@pytest.fixture
def house(lake):
    def write(frequency="warn"):
        (lake.root / "policy.yaml").write_text(POLICY.format(frequency=frequency))
        return "quarantine: {{path: {root}/quarantine}}\npolicy: {root}/policy.yaml"

    return write


def test_rules_after_judge_the_output_and_stop_before_anyone_sees_it(lake):
    lake.source([(1, "4111 1111 1111 1111"), (2, "5500-0000-0000-0004")], "id int, card string")
    after = 'rules_after: \'Rules = [ ColumnLength "card" = {0}, Completeness "card" >= 0.5, IsUnique "id" ]\'\n'
    card = "{card: {class: payment_card, protect: {fpe: {format: card}}}}"
    done = lake.publish(columns=card, extra=after.format(19))
    assert done.status == "published"
    assert [(v["outcome"], v["action"]) for v in done.verdicts_after] == [("PASSED", "none")] * 3
    assert done.seal["run_id"] == done.run_id
    stopped = lake.publish(columns=card, extra=after.format(16))
    assert stopped.status == "stopped"
    assert stopped.reasons == ['after protection: ColumnLength "card" = 16: FAILED']
    assert lake.versions() == 1
    with pytest.raises(ContractError, match=r"rules_after: .*no column 'crad'"):
        lake.publish(columns=card, extra="rules_after: 'Rules = [ IsComplete \"crad\" ]'")
    assert lake.verify(0).holds


def other(lake, name, columns, rows, domain="t"):
    """Another contract's table, published."""
    from dataward.pipeline.publish import publish

    path = lake.source(rows, "id int, who string", name=f"{name}_source")
    file = lake.root / f"{name}.yaml"
    file.write_text(
        f"contract: {name}\nsource: {{path: {path}}}\ntarget: {{path: {lake.root}/{name}}}\n"
        f"keys: {{path: {lake.root}/keys, domain: {domain}}}\ncolumns: {columns}\ndefault: keep\n"
    )
    publish(lake.spark, plan(file), report_folder=str(lake.root / "reports"))
    return file


@pytest.mark.long
def test_joins_are_checked_by_contract_and_on_real_tokens(lake):
    file = other(lake, "people", "{who: {protect: token}}", [(1, "ada"), (2, "bob"), (3, None)])
    lake.source([(1, "ada"), (2, "cy"), (3, "bob"), (4, None)], "id int, name string")
    mine = "{name: {protect: token}}"

    def joins(more):
        return f"joins: [{{{{column: name, with: {file}, its: who, {more}}}}}]"

    done = lake.publish(columns=mine, extra=joins("share: 0.6"))
    (found,) = done.joins
    assert (found["values"], round(found["share"], 3), found["holds"]) == (3, 0.667, True)
    stopped = lake.publish(columns=mine, extra=joins("share: 0.7"))
    assert stopped.reasons == ["join name with people.who: 66.67% of its values are there, wanted: share >= 0.7"]
    for columns, more, said in (
        (mine, "never: true", "would join 'who' of people, which it must not"),
        ("{name: {protect: token, domain: other}}", "share: 1", "key domains differ: other here, t in people"),
        ("{name: {protect: encrypt}}", "share: 1", "encrypt here and token in people do not join"),
        ("{name: {protect: encrypt_random}}", "share: 1", "encrypt_random in t does not keep equal values equal"),
        ("{name: {protect: {token: {bits: 256}}}}", "share: 1", "token has other parameters in people"),
        ("{name: {class: email, protect: token}}", "share: 1", "class email here and None in people"),
    ):
        with pytest.raises(ContractError, match=said):
            lake.publish(columns=columns, extra=joins(more))
    apart = lake.publish(columns="{name: {protect: token, domain: other}}", extra=joins("never: true"))
    assert (apart.status, apart.joins[0]["share"]) == ("published", 0.0)
    (lake.root / "later.yaml").write_text(file.read_text().replace(f"{lake.root}/people", f"{lake.root}/later"))
    unchecked = lake.publish(
        columns=mine, extra=f"joins: [{{{{column: name, with: {lake.root}/later.yaml, its: who, share: 1}}}}]"
    )
    assert unchecked.warnings == [f"join name with people.who: {lake.root}/later is not published yet: not checked"]


def test_a_policy_protects_by_class_and_by_name(lake, house):
    lake.source(
        [(n, f"{n}@x.org", f"9021{n}", "hi") for n in range(9)], "id int, work_mail string, zip string, memo string"
    )
    done = lake.publish(columns="{zip: {class: postcode}, memo: {class: note}}", extra=house())
    assert {p["column"]: p["protection"] for p in done.protections} == {
        "id": "keep", "work_mail": "token, canonical 'email 1'", "zip": "generalize, prefix 3", "memo": "redact",
    }  # fmt: skip
    assert lake.rows("target", "zip", "memo")[0] == ("902", "[redacted]")
    for columns, said in (
        ("{work_mail: {protect: keep}}", "is of class email by its name in policy 'house', and is kept"),
        ("{work_mail: {class: email, protect: mask}}", "mask does less than policy 'house' asks for class email"),
        ("{memo: {class: national_id, protect: encrypt}}", "encrypt can be reversed, and class national_id is one-way"),
        ("{zip: {class: postcode, protect: {generalize: {prefix: 4}}}}", "generalize does less"),
        ("{memo: {class: note, protect: token}}", "token does less"),
        ("{memo: {class: unheard_of}}", "'protect' is missing"),
    ):
        with pytest.raises(ContractError, match=said):
            lake.publish(columns=columns, extra=house())
    tighter = "{zip: {class: postcode, protect: {generalize: {prefix: 2}}}, work_mail: {class: email, protect: drop}, memo: {class: note, protect: 'null'}}"
    assert lake.publish(columns=tighter, extra=house()).status == "published"


def test_counting_gives_away_skewed_columns(lake, house, spark):
    rows = [(n, "nsw" if n < 70 else "vic" if n < 95 else "act", f"{n}") for n in range(100)]
    lake.source(rows, "id int, state string, uid string")
    frame = lake.read("source")
    assert recoverable(frame, ["state", "uid", "id"]) == {"state": 1.0, "uid": 0.01, "id": 0.01}
    assert recoverable(frame, []) == {}
    columns = "{state: {protect: token}, uid: {protect: token}}"
    done = lake.publish(columns=columns, extra=house())
    assert [w.split(":")[1][:40] for w in done.warnings] == [" frequency analysis recovers about 100% "]
    stopped = lake.publish(columns=columns, extra=house("refuse"))
    assert stopped.status == "stopped"
    assert stopped.reasons[0].startswith("state: frequency analysis recovers about 100%")


def test_parity_tells_what_protection_keeps(lake):
    lake.source([(n, f"{n:07d}", None if n % 2 else f"n{n}") for n in range(500)], "id int, code string, name string")
    done = lake.publish(columns="{code: {protect: fpe}, name: {protect: redact}}", extra="parity: true")
    code, name = done.parity
    assert (code["column"], code["same"]) == ("code", ["nulls", "distinct", "lengths", "form"])
    assert (name["before"]["nulls"], name["after"]["nulls"], name["after"]["distinct"], name["same"]) == (
        250,
        250,
        1,
        ["nulls"],
    )


@pytest.mark.long
def test_a_table_laid_out_by_a_protected_column_is_refused(lake, spark):
    lake.source([(1, "a@x.org", "nsw"), (2, "b@x.org", "vic")], "id int, mail string, state string")
    lake.publish(columns="{mail: {protect: token}}")
    spark.sql(f"optimize delta.`{lake.root}/target` zorder by (id)")
    assert lake.publish(columns="{mail: {protect: token}}").status == "published"
    with pytest.raises(ContractError, match=r"'id' is a Z-order column of .*protected by fpe"):
        lake.publish(columns="{mail: {protect: token}, id: {protect: fpe}}")


def test_each_commit_tells_the_keys_of_what_it_wrote(lake):
    lake.source([(1, "0301234567")], "id int, phone string")
    lake.publish(columns="{phone: {protect: fpe}}")
    assert delta.history(lake.spark, Location(path=str(lake.root / "target")))[0].metadata["key_versions"] == {
        "phone": "t v1"
    }
