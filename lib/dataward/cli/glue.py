"""Arguments of a Glue job: pairs of names and values, among them those that Glue reserves for itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dataward.errors import UsageError

__all__ = ["own_arguments"]

IDENTITY = frozenset({"--JOB_NAME", "--JOB_ID", "--JOB_RUN_ID"})
"""Glue passes them to every run; no option of ours is in capitals."""

RESERVED = """
additional-python-modules auto-scale-within-microbatch class conf continuation-option continuous-log-conversionPattern
continuous-log-logGroup continuous-log-logStreamPrefix customer-driver-env-vars customer-executor-env-vars datalake-formats debug
disable-proxy-v2 enable-auto-scaling enable-continuous-cloudwatch-log enable-continuous-log-filter enable-data-lineage
enable-glue-datacatalog enable-job-insights enable-lakeformation-fine-grained-access enable-metrics enable-observability-metrics
enable-rename-algorithm-v2 enable-s3-parquet-optimized-committer enable-spark-ui encryption-type endpoint executor-cores extra-files
extra-jars extra-py-files job-bookmark-from job-bookmark-option job-bookmark-to job-language mode python-modules-installer-option
scriptLocation spark-event-logs-path use-postgres-driver user-jars-first write-shuffle-files-to-s3 write-shuffle-spills-to-s3
JOB_NAME JOB_ID JOB_RUN_ID RedshiftTempDir SECURITY_CONFIGURATION TempDir
"""
"""https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html, and those of awsglue's Job."""

MORE = "--arguments"


def own_arguments(argv: Sequence[str]) -> list[str]:
    """Return what Dataward itself is asked for; arguments of any other caller than Glue stay unchanged.

    A job's arguments in Glue are a mapping, so an option without a value is written with an empty one or ``true`` (``"--json": ""``),
    and what a mapping cannot hold stands in ``--arguments``, as in a shell: ``"--arguments": "people --metrics stdout --metrics otel"``.

    Raises:
        UsageError: the quotes in ``--arguments`` do not match.
    """
    if not any(word.partition("=")[0] in IDENTITY for word in argv):
        return list(argv)
    reserved = {f"--{name}" for name in RESERVED.split()}
    first = next((at for at, word in enumerate(argv) if word.startswith("--")), len(argv))
    verb = [
        word for word in argv[:first] if word != "true"
    ]  # Glue leaves a lone "true" of its own before some arguments
    more: list[str] = []
    own: list[str] = []
    for name, value in _pairs(argv[first:]):
        if name == MORE:
            try:
                more += shlex.split(value or "")
            except ValueError as error:
                raise UsageError(f"--arguments {value}: {error}: write it as in a shell") from None
        elif name not in reserved and value != "false":
            own += [name] if value in (None, "", "true") else [name, str(value)]
    return [*verb, *more, *own]


def _pairs(words: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return options with their values; a word that follows a value is Glue's own."""
    pairs: list[tuple[str, str | None]] = []
    for word in words:
        if word.startswith("--") and not (pairs and pairs[-1] == (MORE, None)):
            name, equals, value = word.partition("=")
            pairs.append((name, value if equals else None))
        elif pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], word)
    return pairs
