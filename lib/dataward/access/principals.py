"""Principals: name and groups from the platform, never from an environment variable."""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Iterable
from typing import Any

from dataward.access.decide import Principal

__all__ = ["of_arn", "of_databricks", "of_process"]


def of_process() -> Principal:
    """Return the user and groups of the process, from the kernel and the system's user database."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run under a user ID without a name
        name = f"uid:{uid}"
    groups = []
    for gid in dict.fromkeys((os.getgid(), *os.getgroups())):
        try:
            groups.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            groups.append(f"gid:{gid}")
    return Principal(name, "os", tuple(groups))


def of_arn(arn: str) -> Principal:
    """Return the principal of an ARN from STS: the whole ARN; its groups are its role (name and ARN) and account.

    ``arn:aws:sts::111122223333:assumed-role/Analyst/ana`` is in ``role:Analyst``, ``arn:aws:iam::111122223333:role/Analyst``
    and ``account:111122223333``. STS omits the path of a role.
    """
    groups = []
    if found := re.fullmatch(r"arn:(aws[a-z-]*):(?:sts|iam)::([0-9]{12}):(.+)", arn):
        partition, account, rest = found.groups()
        if role := re.fullmatch(r"assumed-role/([^/]+)/.+", rest):
            groups = [f"role:{role.group(1)}", f"arn:{partition}:iam::{account}:role/{role.group(1)}"]
        groups.append(f"account:{account}")
    return Principal(arn, "sts", tuple(groups))


def of_databricks(spark: Any, named: Iterable[str]) -> Principal:
    """Return the user of the session, and its groups among those named in policies."""
    name = str(spark.sql("select current_user()").first()[0])
    groups = []
    for group in named:
        text = group.replace("\\", "\\\\").replace("'", "\\'")
        row = spark.sql(f"select is_account_group_member('{text}'), is_member('{text}')").first()
        if row[0] is True or row[1] is True:
            groups.append(group)
    return Principal(name, "databricks", tuple(groups))
