"""Judge a day's card transactions: python nightly.py detector.zip 2025-07-14.csv out/

A cron line, at 4:30 each morning (cron wants each % as \\%):

    30 4 * * * cd /srv/cards && .venv/bin/python nightly.py detector.zip \\
               in/$(date -d yesterday +\\%F).csv out/    (all on one line)

Four files stand in `out` afterwards; a day that runs again replaces its own and its log line:

    2025-07-14.alarms.csv      rows as they came, score, p-value, reason; most suspicious first
    2025-07-14.no_verdict.csv  rows that cannot be judged, and why
    2025-07-14.malformed.csv   lines that cannot be read, byte by byte as they stood
    log.csv                    a line a night: counts, promise, how far each column has drifted

Each line of the file is an alarm, a pass, a no verdict or malformed. An empty cell is a missing
value, which is the detector's business. What makes a line malformed: a cell that is no number or
time, too few or too many cells, an open quote (a quoted cell may hold commas, but no line break),
a stray byte, and no line end, since the file was then cut off there. A transaction that comes
twice is judged twice, and counted as repeated. More columns than needed do no harm.

Exit codes: 0, the promise is kept. 1, it is broken: more alarms than chance explains, tonight or
over the last 30 nights under this detector. 2, nothing was judged: the file or the detector is
missing or not what it should be (and nothing is written), or over half of the rows got no verdict.
"""

import argparse
import csv
import hashlib
import sys
from datetime import date
from pathlib import Path

import pandas as pd

from helpers import Detector, false_alarm_interval

TEXT, NUMBERS = ["category", "country", "channel"], ["amount", "count_24h", "sum_24h"]
NEEDED = ["transaction_id", "time", "card", *NUMBERS, *TEXT]
TIME = "%Y-%m-%d %H:%M:%S"


def prepare(lines):
    """Return a file's rows as they came, the same rows with typed columns, and all other lines."""
    names = next(csv.reader([lines[0].decode("utf-8-sig", "replace")]))
    if wrong := [name for name in NEEDED if names.count(name) != 1]:
        raise ValueError(f"{', '.join(wrong)}: not just once in the header, {', '.join(names)}")
    cells = {}
    for number, line in enumerate(lines[1:]):
        try:
            row = next(csv.reader([line.decode()], strict=True))
        except (UnicodeDecodeError, csv.Error):
            continue
        if len(row) == len(names) and line.endswith((b"\n", b"\r")):
            cells[number] = row
    rows = pd.DataFrame([*cells.values()], index=[*cells], columns=names, dtype=str)
    table = rows[TEXT].where(rows[TEXT] != "")
    table[NUMBERS] = rows[NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    time = pd.to_datetime(rows["time"], format=TIME, errors="coerce")
    time = time.where(time.dt.strftime(TIME) == rows["time"])  # pandas takes "now" for a time
    table["hour"] = (time - time.dt.normalize()) / pd.Timedelta(hours=1)
    empty = (rows[[*NUMBERS, "time"]] == "").to_numpy()
    read = (empty | table[[*NUMBERS, "hour"]].notna().to_numpy()).all(axis=1)
    numbers = set(rows.index[read])
    return rows[read], table[read], [x for i, x in enumerate(lines[1:]) if i not in numbers]


def chance(detector, n):
    """Return the fewest and the most alarms that chance explains among n rows."""
    promise = detector.n_calibration_, 1 - detector.alarm_rate, n
    return [round(n * r) for r in false_alarm_interval(*promise, confidence=0.999)] if n else [0, 0]


def night(bundle, file, out):
    """Judge a day and write its files; return the exit code and what there is to say."""
    day, content = date.fromisoformat(file.stem).isoformat(), bundle.read_bytes()
    detector, version = Detector.from_bytes(content), hashlib.sha256(content).hexdigest()[:8]
    lines = [line for line in file.read_bytes().splitlines(keepends=True) if line.strip()]
    if not lines:
        raise ValueError(f"{file} is empty, it has not even a header")
    rows, table, malformed = prepare(lines)
    judged = detector.judge(table)
    alarm, passed, silent = (judged["verdict"] == v for v in ("alarm", "pass", "no verdict"))
    n, n_judged = len(lines) - 1, int(alarm.sum() + passed.sum())
    if n_judged + silent.sum() + len(malformed) != n:
        raise RuntimeError(f"of {n} rows {n_judged + silent.sum() + len(malformed)} are left")
    low, high = chance(detector, n_judged)
    unseen = silent & judged["reason"].str.contains("never seen")
    entry = {
        "date": day,
        "rows": n,
        "alarms": alarm.sum(),
        "promised": round(n_judged * detector.alarm_rate, 2),
        "low": low,
        "high": high,
        "no_verdict": silent.sum(),
        "malformed": len(malformed),
        "unseen": round(unseen.sum() / max(n, 1), 4),
        "repeated": rows["transaction_id"].duplicated().sum(),
        "detector": version,
    }
    if len(rows):
        entry |= detector.drift(table).round(4).add_prefix("drift_").to_dict()

    log = pd.DataFrame([entry]).astype(str)
    if (out / "log.csv").exists():
        old = pd.read_csv(out / "log.csv", dtype=str)
        log = pd.concat([old[old["date"] != day], log]).sort_values("date")
    recent = log[(log["detector"] == version) & (log["date"] <= day)].tail(30)
    sums = recent[["rows", "alarms", "no_verdict", "malformed"]].astype(int).sum()
    most = chance(detector, int(sums["rows"] - sums["no_verdict"] - sums["malformed"]))[1]

    worst = judged[alarm].sort_values("score", ascending=False, kind="stable").index
    reasons = pd.concat([rows, judged[["score", "p_value", "reason"]]], axis=1)
    tables = {
        f"{day}.alarms.csv": reasons.loc[worst],
        f"{day}.no_verdict.csv": reasons[silent],
        "log.csv": log,
    }
    files = {f"{day}.malformed.csv": b"".join(malformed)}
    files |= {k: x.to_csv(index=False, float_format="%.6g").encode() for k, x in tables.items()}
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / f"{name}.part").write_bytes(content)
        (out / f"{name}.part").replace(out / name)  # nobody ever reads half a file
    if 2 * n_judged < n:
        return 2, f"{day}: only {n_judged} of {n} rows could be judged"
    words = f"{day}: {alarm.sum()} alarms, chance explains {high}; in {len(recent)} nights"
    broken = alarm.sum() > high or sums["alarms"] > most
    return int(broken), f"{words} {sums['alarms']}, chance explains {most}" if broken else ""


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Judge a day's card transactions.")
    for name in ("bundle", "file", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args(arguments)
    try:
        code, words = night(**vars(arguments))
    except Exception as error:  # Python's own exit code for a crash is 1, and means something else
        code, words = 2, f"{type(error).__name__}: {error}"
    if words:
        print("nightly.py:", *words.split(), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
