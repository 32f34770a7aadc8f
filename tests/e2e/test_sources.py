"""Avro, Iceberg, PostgreSQL and Kafka as sources, in a process with their jars (outside.py)."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path("/usr/lib/postgresql")

pytestmark = pytest.mark.long


def as_owner(*command):
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "nobody", "--", *command] if os.getuid() == 0 else list(command)


@pytest.fixture
def postgres(tmp_path):
    """A PostgreSQL of Debian's packages, with a password of its own: (URL, user, password)."""
    found = sorted(BIN.glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    password = f"canary-pg-{secrets.token_hex(8)}"
    place = Path("/tmp") / f"dataward-pg-{secrets.token_hex(4)}"
    place.mkdir(mode=0o755)
    (place / "password").write_text(password)
    shutil.chown(place, "nobody") if os.getuid() == 0 else None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bin_ = found[-1].parent
    subprocess.run(
        as_owner(bin_ / "initdb", "-D", place / "data", "-U", "owner", "--auth=scram-sha-256", f"--pwfile={place / 'password'}"),
        check=True, capture_output=True,
    )  # fmt: skip
    options = f"-p {port} -h 127.0.0.1 -k {place} -c fsync=off"
    subprocess.run(
        as_owner(bin_ / "pg_ctl", "-D", place / "data", "-w", "-l", place / "log", "-o", options, "start"), check=True
    )
    yield f"jdbc:postgresql://127.0.0.1:{port}/postgres", "owner", password
    subprocess.run(as_owner(bin_ / "pg_ctl", "-D", place / "data", "-m", "immediate", "stop"), check=False)
    shutil.rmtree(place)


def test_each_source_is_pinned_and_no_credential_is_written_anywhere(postgres, tmp_path):
    url, user, password = postgres
    environment = {
        **os.environ,
        "PG_USER": user,
        "PG_PASSWORD": password,
        "PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("outside.py")), str(tmp_path), url],
        capture_output=True, text=True, env=environment, check=False, cwd=tmp_path,
    )  # fmt: skip
    print(done.stdout[-6000:], done.stderr[-6000:])
    assert done.returncode == 0
    assert done.stdout.count("\nOK ") + done.stdout.startswith("OK ") == 7
    assert password not in done.stdout + done.stderr
    assert "canary" not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("events" in path.parts for path in written)
    assert not [path for path in written if password.encode() in path.read_bytes()]
