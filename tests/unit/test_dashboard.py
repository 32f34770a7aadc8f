"""The dashboard: what it shows, that it shows no value, and how it looks in Chromium, light and dark, wide and narrow."""

import json
import math
import os
import re
import shutil
import subprocess
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.report import Phase, Place, RunResult
from dataward.report.board import Board
from dataward.report.dashboard import dashboard

CANARY = "kanarienvogel-4711"
NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


def run(contract, day=0, status="published", **more):
    """One of many runs of a contract; the later in the series, the more rows."""
    rows = 9_000 + 400 * day + int(800 * math.sin(day)) + 37 * len(contract)
    diverted = rows // 60 if contract == "people" else 0
    stopped = status == "stopped"
    verdicts = [{"rule": "RowCount > 1000", "outcome": "PASSED", "measured": rows, "expected": "> 1,000", "failed_rows": None, "action": ""},
                {"rule": 'IsPrimaryKey "id"', "outcome": "PASSED", "measured": 1.0, "expected": "all rows", "failed_rows": 0, "action": ""}]  # fmt: skip
    if diverted:
        verdicts.append({"rule": 'ColumnValues "email" matches ".+@.+"', "outcome": "FAILED", "measured": 0.983, "expected": "all rows",
                         "failed_rows": diverted, "action": "quarantine", "message": CANARY})  # fmt: skip
    if stopped:
        verdicts.append({"rule": 'Completeness "amount" > 0.99', "outcome": "FAILED", "measured": 0.874, "expected": "> 0.99",
                         "failed_rows": None, "action": "stop", "message": CANARY})  # fmt: skip
    past = [{"series": "RowCount", "values": [9000 + 400 * n + 800 * math.sin(n) for n in range(day + 1)], "low": rows - 900, "high": rows + 900},
            {"series": 'Mean "amount"', "values": [52 + math.cos(n) * 3 for n in range(day + 1)], "low": 48, "high": 53}]  # fmt: skip
    given = {
        "run_id": f"r{day}", "contract": contract, "status": status, "started": (NOW - timedelta(days=20 - day)).isoformat(), "seconds": 12.5 + day,
        "source": {"described": f"raw {CANARY}"}, "reasons": [CANARY] if stopped else [], "warnings": [], "verdicts": verdicts, "protections": [],
        "rows": {"in": rows, "published": 0 if stopped else rows - diverted - 5, "quarantined": 0 if stopped else diverted, "dropped": 0 if stopped else 5},
        "target": Place(path=f"s3://lake/silver/{contract}", version=day), "past": past if day else [], "phases": [Phase(name="seal", seconds=1, told=CANARY)],
        "statistics": [{"smallest": CANARY}], "discovered": [{"examples": [CANARY]}],
        "seal": None if stopped else {"version": day, "time": NOW.isoformat(), "key": {"domain": contract, "version": 2}, "content": {"digest": "8f3a" * 16}},
    }  # fmt: skip
    return RunResult(**{**given, **more})


def event(who, verb, table, status, minute, purpose=""):
    return {"time": int(NOW.timestamp() * 1000) - minute * 60_000, "actor": {"user": {"name": who}}, "table": {"name": table},
            "message": CANARY, "status_detail": CANARY, "unmapped": {"dataward": {"verb": verb, "status": status, "purpose": purpose, "where": CANARY}}}  # fmt: skip


def board():
    runs = [run(name, day) for name in ("people", "orders", "flights", "weather", "web_sessions") for day in range(20)]
    runs += [run("payments", day, "stopped" if day in (4, 19) else "published") for day in range(20)] + [
        run("new_table", 0)
    ]
    role = "arn:aws:sts::123456789012:assumed-role/"
    events = [event(f"{role}etl/job", "publish", "people", "success", n) for n in range(0, 600, 30)]
    events += [event(f"{role}analyst/ada", "read", "people", "success", 20, "support"), event(f"{role}intern/bob", "reidentify", "people", "denied", 9, "curiosity"),
               event("eve", "erase", "orders", "failure", 90), event("ada", "verify", "orders", "success", 200), event("ada", "train", "flights", "interrupted", 300)]  # fmt: skip
    proofs = [
        {"contract": "people", "version": 19, "holds": True},
        {"contract": "weather", "version": 19, "holds": False},
    ]
    budgets = [
        {"name": "people, 2026", "unit": "epsilon", "spent": 1.2, "cap": 4},
        {
            "dataset": "payments",
            "unit": "customer_id",
            "spent": {"epsilon": 2.9, "delta": 0},
            "cap": {"epsilon": 3, "delta": 1e-6},
        },
    ]
    return read([(found, f"{found.contract}/{found.run_id}/report.html") for found in runs], events, proofs, budgets)


def read(runs, events=(), proofs=(), budgets=()):
    """What the verb reads of results as a run writes them."""
    written = [(found.model_dump(mode="json"), page) for found, page in runs]
    return Board.model_validate({"runs": written, "events": events, "proofs": proofs, "budgets": budgets, "now": NOW})


def written():
    """A file of each run, as it is written."""
    return [(run("people", day), f"people/r{day}/report.html") for day in range(20)] + [
        (run("orders", day), f"orders/r{day}/report.html") for day in range(10)
    ]


@pytest.fixture(scope="module")
def page():
    return dashboard(board())


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<(style|svg).*?</\1>|<[^>]+>", " ", page, flags=re.S))


def test_what_the_page_tells(page):
    told = text_of(page)
    assert "contracts 7 4 healthy" in told
    assert "stopped 1 nothing was published" in told
    assert "denied 1 of 25 accesses" in told
    assert "7 1 proof broken" in told
    assert "version 19 does not hold" in told
    assert "payments, customer_id 2.9 of 3 epsilon" in told
    assert (
        told.index("silver/weather")
        < told.index("silver/payments")
        < told.index("silver/people")
        < told.index("silver/flights")
    )  # what needs somebody comes first
    assert "intern/bob reidentify people curiosity denied 1" in told
    assert page.count('class="strip"') == 7


def test_the_page_holds_no_value_and_loads_nothing(page):
    assert "kanarien" not in page
    assert not re.search(r"<script|https?://|@import|url\(", page)


def test_names_are_text_and_never_markup():
    told = dashboard(
        read(
            [(run("t", target=Place(path="<script>alert(1)</script>")), "")],
            [event("<b>eve</b>", "read", "t", "denied", 1)],
        )
    )
    assert "<script>" not in told
    assert "<b>eve" not in told


def test_an_empty_folder_and_a_run_without_anything_are_drawn():
    assert "No run has written a report here yet" in dashboard(read([]))
    bare = run(
        "t",
        rows={"in": 0, "published": 0, "quarantined": 0, "dropped": 0},
        verdicts=[],
        seal=None,
        past=[],
        status="unchanged",
    )
    assert "no version is sealed" in dashboard(read([(bare, "")]))


def test_a_file_without_a_proof_is_named(tmp_path, capsys):
    (tmp_path / "p.json").write_text('{"error": "ProofError", "message": "there is no ledger", "problems": []}')
    assert main(["dashboard", str(tmp_path), "--proof", str(tmp_path / "p.json")]) == 0
    assert f"warning: {tmp_path}/p.json could not be read" in capsys.readouterr().err


def test_json_of_another_shape_holds_up_no_other_report_and_no_other_event(tmp_path, capsys):
    wrong = {
        "b": {"rows": {"in": 1}},
        "c": {"verdicts": [{"outcome": []}]},
        "e": {"past": [{"series": "n", "values": []}]},
    }
    for name, change in {"a": {}, **wrong, "d": {}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(run(name, **change).model_dump_json())
    good = event("ana", "read", "people", "success", 1)
    lines = [
        good,
        {**good, "time": "x"},
        {**good, "actor": 3},
        good,
        {**good, "unmapped": None},
        {**good, "time": 10**18},
    ]
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["dashboard", str(tmp_path), "--events", str(tmp_path / "e.jsonl"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["contracts"], told["runs"], told["events"]) == (2, 2, 3)
    assert told["unread"] == [
        *(str(tmp_path / name / "report.json") for name in "bce"), *(f"{tmp_path}/e.jsonl:{number}" for number in (2, 3, 6))
    ]  # fmt: skip
    assert ">a<" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(("option", "text", "words"), [
    ("--proof", {"contract": "t", "holds": "false"}, "not what 'dataward verify --json' prints"),
    ("--proof", {"holds": True}, "not what 'dataward verify --json' prints"),
    ("--budgets", [{"name": "t", "spent": math.nan, "cap": 1}], "not what 'dataward budget show --json' prints"),
    ("--budgets", [{"name": "t", "cap": 1}], "not what 'dataward budget show --json' prints"),
    ("--budgets", [3], "not what 'dataward budget show --json' prints"),
])  # fmt: skip
def test_a_named_file_of_another_shape_is_refused(tmp_path, capsys, option, text, words):
    file = tmp_path / "given.json"
    file.write_text(json.dumps(text))
    assert main(["dashboard", str(tmp_path), option, str(file)]) == 2
    assert f"{file}: {words}" in capsys.readouterr().err
    assert not (tmp_path / "index.html").exists()


def test_the_verb_collects_reports_events_and_budgets(tmp_path, capsys):
    for found, path in written():
        file = tmp_path / "reports" / path
        file.parent.mkdir(parents=True)
        file.write_text("x")
        file.with_suffix(".json").write_text(found.model_dump_json())
    (tmp_path / "reports/people/r0/report.json").write_text("{}")
    (tmp_path / "events.jsonl").write_text(
        "\n".join(event.model_dump_json() for event in board().events) + "\nbroken\n"
    )
    (tmp_path / "budgets.json").write_text(json.dumps([budget.model_dump() for budget in board().budgets]))
    argv = [
        "dashboard",
        str(tmp_path / "reports"),
        "--events",
        str(tmp_path / "events.jsonl"),
        "--budgets",
        str(tmp_path / "budgets.json"),
    ]
    assert main(argv) == 0
    told = capsys.readouterr()
    assert "2 contracts, 29 runs, 25 events" in told.out
    assert "r0/report.json could not be read" in told.err
    assert "events.jsonl:26 could not be read" in told.err
    page = (tmp_path / "reports" / "index.html").read_text()
    assert 'href="people/r19/report.html"' in page
    assert main(["dashboard", str(tmp_path / "gone")]) == 2
    assert main([*argv, "--proof", str(tmp_path / "gone.json")]) == 2


def chromium(*arguments):
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        "--virtual-time-budget=2000",
    ]
    done = subprocess.run([program, *options, *arguments], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def pixels(file):
    """Every twentieth pixel of a PNG of 8 bits a channel, as (red, green, blue)."""
    data, place, packed = file.read_bytes(), 8, b""
    width, height, _, kind = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), data[24], data[25]
    while place < len(data):
        size, name = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        packed += data[place + 8 : place + 8 + size] if name == b"IDAT" else b""
        place += 12 + size
    raw, step = zlib.decompress(packed), {2: 3, 6: 4}[kind]
    stride, before, found = width * step, bytearray(width * step), []
    for row in range(height):
        how, line = raw[row * (stride + 1)], bytearray(raw[row * (stride + 1) + 1 : (row + 1) * (stride + 1)])
        for i in range(stride):
            a, b, c = (line[i - step] if i >= step else 0), before[i], (before[i - step] if i >= step else 0)
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, near)[how]) & 255
        if row % 20 == 0:
            found += [tuple(line[x : x + 3]) for x in range(0, stride, 20 * step)]
        before = line
    return found


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "backs"), [("light", (245, 246, 249)), ("dark", (18, 22, 30))])
def test_how_it_looks_in_chromium(page, tmp_path, scheme, backs):
    (tmp_path / "index.html").write_text(page)
    shot = Path(os.environ.get("SHOTS", tmp_path)) / f"dashboard-{scheme}.png"
    dark = "0" if scheme == "dark" else "1"
    chromium(
        f"--blink-settings=preferredColorScheme={dark}",
        "--window-size=1360,2900",
        f"--screenshot={shot}",
        f"file://{tmp_path}/index.html",
    )
    seen = pixels(shot)
    assert seen.count(backs) > len(seen) / 10
    assert len(set(seen)) > 12


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_runs_over_its_edge_on_a_phone_or_a_desk(page, tmp_path, width):
    (tmp_path / "index.html").write_text(page)
    measure = (
        "document.querySelectorAll('.card, section, .tile').forEach(e => { if (e.scrollWidth > e.clientWidth + 1) over.push(e.className + e.scrollWidth) });"
        "document.body.innerHTML = `<p>WIDTH ${document.documentElement.scrollWidth} OVER ${over.length}</p>`"
    )
    (tmp_path / "measured.html").write_text(
        page.replace("</body>", f"<script>const over = []; {measure}</script></body>")
    )
    told = chromium(f"--window-size={width},900", "--dump-dom", f"file://{tmp_path}/measured.html")
    found = re.search(r"WIDTH (\d+) OVER (\d+)", told)
    assert (int(found[1]) <= max(width, 500), found[2]) == (True, "0")  # Chromium's windows are 500 wide at least
