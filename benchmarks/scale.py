"""The detector of notebook 06: a million rows, one record, and ten million rows from files with and without Dask."""

import logging
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import dask.dataframe as dd
import numpy as np
import pandas as pd
from common import alternate, clock, ratio, say, seconds_of, section, summary
from dask.distributed import Client
from page import Bar, span, table
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from helpers import Detector, dense_autoencoder, mixed_autoencoder, reconstruct, reconstruction_error, set_seed

TITLE = "The detector, and more rows than fit"
N_FEATURES, HIDDEN, BOTTLENECK = 32, 64, 24  # the network of the section on scoring
NAMES = [f"x{i}" for i in range(N_FEATURES)]
N_NUMBERS, KINDS = 4, ("category", "country", "channel")
ROWS, FILES, PER_FILE = 10**6, 20, 500_000
DETECTOR, PREPARED = "Detector.score", "reconstruction_error"
LOOP, ONE, TWO = "a plain loop, one process", "Dask, one worker", "Dask, two workers"
KILLED = "Dask, two workers, one of them killed"
DIFFER = "scores that differ"
ABOUT = (
    "Ten million rows of 32 numbers, read from 20 Parquet files, scored by a Detector with a network 32-64-24-64-32 "
    "and written to files. A row for each program: seconds (median, low and high of the runs, in which the programs "
    "took turns), over the loop (the same as a multiple of the plain loop's), peak memory in GB of the largest "
    "process since its start, after all rows and after a million, start-up in seconds with the first million rows, "
    "and the number of scores that differ from the plain loop's. One worker was killed when a quarter of the files "
    "was done."
)
SCORE, JUDGE, NETWORK = "Detector.score", "Detector.judge", "the network alone"
ALARM = "Detector.judge, an alarm with its reason"
CALLS = 100  # for one record


def measure(full):
    set_seed(0)
    rng = np.random.default_rng(0)
    detector = numeric(rng)
    result = {"a million": million(detector, rng), "one record, ms": one_record(rng)}
    with TemporaryDirectory() as folder:
        return result | many(detector, rng, Path(folder))


def numeric(rng):
    """Fit a detector on 32 numbers; its speed does not depend on how long the network was trained."""
    rows = pd.DataFrame(rng.standard_normal((20_000, N_FEATURES), dtype=np.float32), columns=NAMES)
    detector = Detector(StandardScaler(), lambda x: dense_autoencoder(N_FEATURES, BOTTLENECK, hidden=(HIDDEN,)))
    return detector.fit(rows[:10_000], rows[10_000:])


def million(detector, rng):
    prepared = rng.standard_normal((ROWS, N_FEATURES), dtype=np.float32)
    rows = pd.DataFrame(dict(zip(NAMES, prepared.T, strict=True)))  # column by column, as a file is read
    model = dense_autoencoder(N_FEATURES, BOTTLENECK, hidden=(HIDDEN,))
    programs = {DETECTOR: lambda: detector.score(rows), PREPARED: lambda: reconstruction_error(model, prepared)}
    alternate(programs, 1)  # compile
    rounds, _ = alternate(programs, 7)
    result = {"ratio": ratio(rounds, DETECTOR, PREPARED)} | {name: seconds_of(rounds, name) for name in programs}
    say(f"a million rows: {DETECTOR} over {PREPARED} {span(result['ratio'])}")
    return result


def one_record(rng):
    """Score and judge single records of a table with numbers and categories."""
    rows = pd.DataFrame(rng.standard_normal((20_000, N_NUMBERS)), columns=NAMES[:N_NUMBERS])
    for kind in KINDS:
        rows[kind] = rng.choice([f"{kind} {i}" for i in range(8)], len(rows))
    columns = make_column_transformer(
        (StandardScaler(), NAMES[:N_NUMBERS]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(KINDS)),
    )
    detector = Detector(
        columns, lambda x: mixed_autoencoder(N_NUMBERS, [8] * len(KINDS), bottleneck=4), n_numbers=N_NUMBERS
    ).fit(rows[:10_000], rows[10_000:])
    verdicts = detector.judge(rows)["verdict"].to_numpy()
    record, alarm = rows[verdicts == "pass"][:1], rows[verdicts == "alarm"][:1]
    prepared = columns.fit(rows).transform(record).astype(np.float32)
    programs = {
        NETWORK: lambda: reconstruct(detector.model_, prepared),
        SCORE: lambda: detector.score(record),
        JUDGE: lambda: detector.judge(record),
        ALARM: lambda: detector.judge(alarm),
    }
    alternate(programs, 1)
    repeated = {name: lambda run=run: [run() for _ in range(CALLS)] for name, run in programs.items()}
    rounds, _ = alternate(repeated, 5)
    rounds = [{name: 1e3 / CALLS * seconds for name, seconds in times.items()} for times in rounds]
    result = {name: seconds_of(rounds, name) for name in programs}
    say("one record: " + "; ".join(f"{name} {span(times)} ms" for name, times in result.items()))
    return result


def score_part(part, bundle):
    """Score one part of a table; workers get this function and the detector's bytes."""
    return pd.DataFrame({"score": Detector.from_bytes(bundle).score(part)}, index=part.index)


def loop(folder, out, bundle, files):
    """Score one file after the other."""
    out.mkdir(exist_ok=True)
    for i in range(files):
        score_part(pd.read_parquet(folder / f"{i}.parquet"), bundle).to_parquet(out / f"part.{i}.parquet")


def on_dask(client, folder, out, bundle, files):
    """Score the same files on the workers of a client."""
    with client.as_current():
        parts = dd.read_parquet([str(folder / f"{i}.parquet") for i in range(files)])
        parts.map_partitions(score_part, bundle, meta={"score": float}).to_parquet(out, overwrite=True)


def local(n_workers):
    """Start workers of one thread each."""
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    environment = {"TF_NUM_INTRAOP_THREADS": "1"}
    return Client(n_workers=n_workers, threads_per_worker=1, memory_limit="4GB", env=environment, **quiet)


def peak_memory():
    """Return what this process has held at its peak since its start, in GB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def many(detector, rng, folder):
    rows = folder / "rows"
    rows.mkdir()
    for i in range(FILES):
        values = rng.standard_normal((PER_FILE, N_FEATURES), dtype=np.float32)
        pd.DataFrame(values, columns=NAMES).to_parquet(rows / f"{i}.parquet")
    say(f"{FILES} files of {PER_FILE:,} rows are written")
    bundle = detector.to_bytes()
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        one_start, one = clock(lambda: stack.enter_context(local(1)))
        two_start, two = clock(lambda: stack.enter_context(local(2)))
        programs = {
            LOOP: lambda files=FILES: pool.submit(loop, rows, folder / LOOP, bundle, files).result(),
            ONE: lambda files=FILES: on_dask(one, rows, folder / ONE, bundle, files),
            TWO: lambda files=FILES: on_dask(two, rows, folder / TWO, bundle, files),
        }

        def memory():
            workers = {name: max(client.run(peak_memory).values()) for name, client in ((ONE, one), (TWO, two))}
            return {LOOP: pool.submit(peak_memory).result()} | workers

        # A million rows to begin with: TensorFlow starts in each process, and memory has something to grow from.
        start_up = {name: clock(lambda run=run: run(files=ROWS // PER_FILE))[0] for name, run in programs.items()}
        start_up[ONE] += one_start
        start_up[TWO] += two_start
        few = memory()
        rounds, _ = alternate(programs, 3)
        for times in rounds:
            say("; ".join(f"{name}: {seconds:.1f} s" for name, seconds in times.items()))
        all_rows = memory()
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(kill_in_the_middle, two, folder / KILLED)
            seconds, _ = clock(lambda: on_dask(two, rows, folder / KILLED, bundle, FILES))
        say(f"a worker was killed after {done.result()} files")
    lines = []
    for name in (LOOP, ONE, TWO, KILLED):
        times = summary([seconds]) if name == KILLED else seconds_of(rounds, name)
        over = seconds / seconds_of(rounds, LOOP)["median"] if name == KILLED else ratio(rounds, name, LOOP)["median"]
        line = {"program": name, "seconds": times.pop("median"), **times, "over the loop": over}
        line |= {"peak memory": all_rows.get(name), "after a million rows": few.get(name)}
        lines.append(line | {"start-up": start_up.get(name), DIFFER: differ(folder / LOOP, folder / name)})
        say(str(lines[-1]))
    ratios = {name: ratio(rounds, name, LOOP) for name in (ONE, TWO)}
    return {"rows": lines, "ratios": ratios, "bundle, MB": len(bundle) / 1e6}


def kill_in_the_middle(client, out):
    """Kill one worker as soon as a quarter of the files is scored; return how many were."""
    victim = min(client.run(os.getpid).values())
    for _ in range(10_000):
        done = len(list(out.glob("*.parquet")))
        if FILES // 4 <= done < FILES:
            os.kill(victim, signal.SIGKILL)
            return done
        time.sleep(0.02)
    raise RuntimeError("the run was over, or stood still, before a worker could be killed")


def differ(folder, other):
    """Count the rows whose scores are not the very same float."""
    pairs = [[pd.read_parquet(path / f"part.{i}.parquet")["score"] for path in (folder, other)] for i in range(FILES)]
    if any(len(a) != PER_FILE or len(b) != PER_FILE for a, b in pairs):
        raise RuntimeError(f"rows are missing in {other.name}")
    return int(sum((a.to_numpy() != b.to_numpy()).sum() for a, b in pairs))


def for_lessons(result):
    return ABOUT, result["rows"]


def bars(result):
    ten = "ten million rows on Dask"
    frame = pd.DataFrame(result["rows"])
    return [
        Bar(f"a million rows of numbers: {DETECTOR} over {PREPARED}", result["a million"]["ratio"], at_most=2),
        Bar(f"one record with categories: {JUDGE}", result["one record, ms"][JUDGE], at_most=10, unit=" ms"),
        Bar(f"{ten}: peak memory of a worker", frame["peak memory"][1:].max(), at_most=2, unit=" GB"),
        Bar(f"{ten}, one killed: scores that differ from the loop's", frame[DIFFER].max(), at_most=0),
    ]


def text(result):
    million = result["a million"]
    yield (
        f"**A million rows, {N_FEATURES} numbers:** `{DETECTOR}` takes {span(million[DETECTOR])} s, columns found by "
        f"name, checked and scaled; `{PREPARED}` on an array that is prepared takes {span(million[PREPARED])} s."
    )
    yield table([["one record", "ms"], *([name, span(times)] for name, times in result["one record, ms"].items())])
    yield f"A table of {N_NUMBERS} numbers and {len(KINDS)} categories, and the network for both kinds."
    memory = ["peak memory, GB", "after a million rows, GB"]
    lines = [["ten million rows", "seconds", "over the loop", "start-up and a million rows, s", *memory]]
    for row in result["rows"]:
        name = row["program"]
        over = span(result["ratios"][name]) if name in result["ratios"] else f"{row['over the loop']:.3g}"
        memory = [row["peak memory"], row["after a million rows"]]
        start_up = f"{row['start-up']:.1f}" if row["start-up"] else "–"
        seconds = span(row | {"median": row["seconds"]})
        lines.append([name, seconds, over, start_up, *(f"{gb:.2f}" if gb else "–" for gb in memory)])
    yield table(lines)
    share = result["ratios"][TWO]
    yield (
        f"Read from {FILES} Parquet files, scored, and written to files; memory is that of the largest process. "
        + (
            f"**On this machine the plain loop is the faster one**: two workers take {span(share)} times as long. "
            if share["median"] > 1
            else f"Two workers take {span(share)} of the plain loop's time. "
        )
        + "The loop's network computes on all cores, a worker's on one. Workers pay where most of the time goes into "
        "preparing the rows, which the loop does on one core, and where there are several machines. Start-up comes on "
        f"top; the detector travels as {result['bundle, MB']:.2g} MB."
    )


if __name__ == "__main__":
    section(__file__, measure)
