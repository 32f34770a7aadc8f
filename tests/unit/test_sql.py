"""Names as SQL text; and that nothing else in the package quotes a name or makes a column of one."""

import ast
import re
from pathlib import Path

import pytest

import dataward
from dataward.spark.sql import identifier, names, parts

PACKAGE = Path(dataward.__file__).parent
ODD = [
    "a.b",
    "tick`s",
    "a,b",
    " lead",
    "x=1;{y}(z)",
    "tab\tend",
    "café",
    "cafe\u0301",
    "😀",
    "select",
    "count",
    "`",
    "'\"\\",
]


def parsed(pattern):
    """Yield the modules that a pattern is found in; to parse them all takes seconds."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if file != PACKAGE / "spark" / "sql.py" and re.search(pattern, text := file.read_text()):
            yield file.relative_to(PACKAGE), ast.parse(text)


def constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def test_a_quoted_name_is_one_identifier_and_a_path_is_several():
    assert identifier("a.b") == "`a.b`"
    assert identifier("a`b") == "`a``b`"
    assert identifier("t", "a.b", "c") == "`t`.`a.b`.`c`"


def test_names_of_a_quoted_list_are_the_names_that_were_quoted():
    assert names(",".join(map(identifier, ODD))) == ODD
    assert names("id, `a.b` ,name") == ["id", "a.b", "name"]


def test_parts_of_a_quoted_path_are_the_names_that_were_quoted():
    assert parts(identifier(*ODD)) == tuple(ODD)
    assert parts("s.x") == ("s", "x")
    assert parts("`Re gion`") == ("Re gion",)


def test_only_sql_py_puts_backticks_around_a_name():
    found = [
        f"{file}:{node.lineno}"
        for file, tree in parsed(r"""[fF][rR]?(['"]).*`|[fF][rR]?('''|\"\"\")""")
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        and any(isinstance(part, ast.Constant) and "`" in str(part.value) for part in node.values)
    ]
    assert not found, "use dataward.spark.sql.identifier"


def test_only_sql_py_makes_a_column_of_a_name_that_a_user_may_have_chosen():
    found = [
        f"{file}:{node.lineno}"
        for file, tree in parsed(r"F\s*\.\s*col")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("col", "column")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "F"
        and not constant(node.args[0])
    ]
    assert not found, "use dataward.spark.sql.column"


@pytest.mark.parametrize("text", ODD)
def test_a_quoted_name_closes_where_it_ends(text):
    assert identifier(text)[1:-1].replace("``", "").count("`") == 0


def test_rows_of_a_users_columns_reach_the_workers_by_number():
    """PySpark's mapInArrow asks for each column by a name that it parses: only frames of columns of our own making take it."""
    ours = {"pipeline/refresh.py", "profiling/columns.py", "quality/engines/spark.py", "quality/engines/frequencies.py",
            "quality/spread.py", "quality/duplicates/matching.py", "privacy/residue.py", "integrity/digest.py", "privacy/protect/entries.py",
            "privacy/discover/spark.py", "privacy/protect/spark.py", "spark/remote.py", "spark/workers.py"}  # fmt: skip
    found = {
        str(file)
        for file, tree in parsed("mapInArrow")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "mapInArrow"
    }
    assert found <= ours, "use dataward.spark.workers.mapped"


def test_only_spark_and_tables_touch_the_jvm():
    private = ("_jvm", "_jsc", "_jdf", "_gateway", "_jsparkSession")
    found = {
        str(file)
        for file, tree in parsed("|".join(private))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in private
    }
    assert {place for place in found if not place.startswith(("spark/", "tables/"))} == set()
