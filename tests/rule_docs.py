"""docs/build.py as a module, and the table, reference and files that the documented examples are about."""

import importlib.util
from pathlib import Path
from typing import Any

SPEC = importlib.util.spec_from_file_location("docs_build", Path(__file__).parents[1] / "docs" / "build.py")
docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docs)

EXAMPLES = [example for kind in docs.DOCUMENTED for example in docs.examples(kind)]


def table(spark: Any) -> Any:
    frame = spark.createDataFrame(docs.ROWS, docs.SCHEMA).withColumnRenamed("at", "stamp")
    return frame.selectExpr("n", "id", "mail", "age", "score", "cast(stamp as timestamp) at", "raw")


def reference(frame: Any) -> Any:
    return frame.where("n <= 4").select("n", "id", "age")


def ruleset(folder: Path) -> str:
    """Every example, about files that are written into a folder of their own: whatever else is there would be counted."""
    folder = folder / "documented"
    folder.mkdir()
    for name, text in docs.FILES.items():
        (folder / name).write_text(text)
    rules = ",\n".join(rule for rule, _, _ in EXAMPLES).replace('"files"', f'"{folder}"')
    return f"Rules = [ {rules} ]"
