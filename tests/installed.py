"""The engines of the installed Spark: none but ``spark`` on Spark 4."""

import pyspark

SPARK4 = not pyspark.__version__.startswith("3.")
ENGINES = ("spark",) if SPARK4 else ("deequ", "spark")
DEFAULT = ENGINES[0]
"""What a contract without ``engine`` gets."""
