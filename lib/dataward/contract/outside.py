"""Sources outside of file systems: databases by JDBC, Kafka, and a caller's DataFrame; their options, without any secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["OUTSIDE", "REFERENCE", "dataset_of", "place_of", "trouble"]

OUTSIDE = ("frame", "jdbc", "kafka")
"""Formats of sources whose rows come from no file system and no catalog of Spark."""

REFERENCE = r"^([A-Za-z_][A-Za-z0-9_]*|file:.+)$"
"""Where the value of an option is: the name of an environment variable, or ``file:PATH``."""

SECRET = re.compile(r"passw|secret|token|jaas|credential|private.?key", re.IGNORECASE)
IN_URL = re.compile(r"passw|secret|token|//[^/@?]*@", re.IGNORECASE)

OURS = {
    "jdbc": ("dbtable", "query", "sessioninitstatement", "preparequery"),
    "kafka": ("failondataloss",),
}
"""Options that Dataward sets itself."""


def trouble(format_: str, options: Mapping[str, object], options_from: Mapping[str, str]) -> str:
    """Return why options do not go with a format; empty where they do."""
    given = {key.lower(): value for key, value in options.items()}
    if twice := sorted({*given} & {key.lower() for key in options_from}):
        return f"option '{twice[0]}' is both under 'options' and under 'options_from': remove one"
    if format_ not in OURS:
        return ""
    if ours := sorted({*given, *map(str.lower, options_from)} & {*OURS[format_]}):
        query = "; make a view of the query in the database, and name it as 'table'" if ours[0] == "query" else ""
        return f"option '{ours[0]}' is set by Dataward{query}"
    if secret := next((key for key in given if SECRET.search(key)), None):
        return (
            f"option '{secret}' would be a secret in the contract: write options_from: {{{secret}: NAME}}, with the name of an "
            "environment variable, or file:PATH"
        )
    if format_ == "jdbc":
        if not str(given.get("url", "")).startswith("jdbc:"):
            return "format jdbc needs options: {url: 'jdbc:postgresql://HOST/DATABASE'}"
        if IN_URL.search(str(given["url"])):
            return (
                "option 'url' holds a user or a password: write them under options_from: {user: NAME, password: NAME}"
            )
        if str(given.get("fetchsize", 1)) == "0":
            return "option 'fetchsize: 0' would read each partition outside of a transaction: give a number of rows"
    return ""


def place_of(format_: str, table: str | None, options: Mapping[str, object]) -> str:
    """Return a text for messages and seals: no parameters of a URL, no secrets."""
    given = {key.lower(): str(value) for key, value in options.items()}
    if format_ == "jdbc":
        return f"{table} of {re.split('[?;]', given.get('url', ''))[0]}"
    if format_ == "kafka":
        topics = given.get("subscribe") or given.get("subscribepattern") or given.get("assign", "")
        return f"kafka topic {topics} at {given.get('kafka.bootstrap.servers', '')}"
    return "(a DataFrame of the caller)"


def dataset_of(format_: str, table: str | None, options: Mapping[str, object]) -> tuple[str, str] | None:
    """Return namespace and name of a dataset, as OpenLineage's naming has them; None for a DataFrame."""
    given = {key.lower(): str(value) for key, value in options.items()}
    if format_ == "kafka":
        return f"kafka://{given.get('kafka.bootstrap.servers', '').split(',')[0]}", given.get("subscribe", "")
    if format_ == "jdbc":
        url = re.split("[?;]", given.get("url", ""))[0].removeprefix("jdbc:").replace("postgresql:", "postgres:", 1)
        server, _, database = url.rpartition("/")
        return server, ".".join(filter(None, (database, (table or "").replace('"', ""))))
    return None
