"""spark-submit entry of ``dataward profile``; see ``dataward profile --help``."""

import importlib.util
import sys
import sysconfig

if __name__ == "__main__":
    from dataward.cli import main

    code = main(["profile", *sys.argv[1:]])
    if code:  # on success just return: Databricks and YARN cluster mode take sys.exit(0) for a failure
        sys.exit(code)
else:
    # pyspark imports cProfile, which imports the standard library's ``profile``: of any job in this folder it finds this file.
    spec = importlib.util.spec_from_file_location("profile", f"{sysconfig.get_path('stdlib')}/profile.py")
    sys.modules["profile"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["profile"])
