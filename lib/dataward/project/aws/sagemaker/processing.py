"""SageMaker processing job: read one verified version of a protected table, and hand it to training with its proof.

    python processing.py --contract contracts/customers.yaml --out /opt/ml/processing/output

`dataward verify` comes first. If its proof does not hold, nothing is read and the job ends with verify's exit code. The role needs what
`dataward iam CONTRACT verify --role sagemaker` prints, and no key of a column: it reads tokens, never originals.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path


def verified(contract):
    """Return the proof of the newest sealed version, or end with verify's exit code."""
    command = [sys.executable, "-m", "dataward.cli", "verify", "--contract", contract, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        sys.exit(done.returncode)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contract", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    proof = verified(arguments.contract)

    from dataward.spark import session

    rows = session.get().read.format("delta").option("versionAsOf", proof["version"]).load(proof["target"])
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    rows.toPandas().to_csv(out / "train.csv", index=False)
    kept = {name: proof.get(name) for name in ("contract", "target", "version", "run_id", "sealed_at", "holds")}
    (out / "dataward.json").write_text(json.dumps(kept, indent=2) + "\n")
    print(f"{proof['target']} version {proof['version']}: verified and written to {out}")


if __name__ == "__main__":
    main()
