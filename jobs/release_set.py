"""spark-submit entry of ``dataward release-set``; see ``dataward release-set --help``."""

import sys

from dataward.cli import main

if __name__ == "__main__":
    code = main(["release-set", *sys.argv[1:]])
    if code:  # on success just return: Databricks and YARN cluster mode take sys.exit(0) for a failure
        sys.exit(code)
