"""Airflow: publish, then go on by Dataward's exit code: 0 train, 1 tell the owner of the data, 2 to 4 fail. Run it in the project's folder.

A failed rule (1) is no fault of the pipeline: another try would end the same way, so it is not repeated.
"""

import os
import subprocess
from datetime import datetime

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException, AirflowFailException

CONTRACT = os.environ.get("DATAWARD_CONTRACT", "contracts/customers.yaml")
SUBMIT = ["spark-submit", "--properties-file", "conf/spark.conf", "jobs/publish.py"]


def next_task(code):
    """Return the task that follows an exit code of publish."""
    if code == 0:
        return "train"
    if code == 1:
        return "ask_owner"
    if code == 3:  # could not run: a try later may succeed
        raise AirflowException("publish could not run (exit code 3)")
    raise AirflowFailException(
        f"publish ended with exit code {code}: 2 is a mistake in the contract, 4 a missing permission"
    )


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, tags=["dataward"])
def customers():
    @task.branch(retries=2)
    def publish(run_id=None):
        # One run ID for all tries of a task: a rerun repeats nothing that was committed.
        name = "".join(c if c.isalnum() or c in "._-" else "-" for c in str(run_id))[:100]
        return next_task(subprocess.run([*SUBMIT, "--contract", CONTRACT, "--run-id", name], check=False).returncode)

    @task
    def train():
        subprocess.run(
            ["python", "aws/sagemaker/processing.py", "--contract", CONTRACT, "--out", "/tmp/train"], check=True
        )

    @task
    def ask_owner():
        print(f"{CONTRACT}: the data failed its contract, and nothing was published; the report says which rules")

    publish() >> [train(), ask_owner()]


customers()
