"""spark-submit entry of ``dataward vacuum``; see ``dataward vacuum --help``."""

import sys

from dataward.cli import main

if __name__ == "__main__":
    code = main(["vacuum", *sys.argv[1:]])
    if code:  # on success just return: Databricks and YARN cluster mode take sys.exit(0) for a failure
        sys.exit(code)
