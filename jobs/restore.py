"""spark-submit entry of ``dataward restore``; see ``dataward restore --help``."""

import sys

from dataward.cli import main

if __name__ == "__main__":
    code = main(["restore", *sys.argv[1:]])
    if code:  # on success just return: Databricks and YARN cluster mode take sys.exit(0) for a failure
        sys.exit(code)
