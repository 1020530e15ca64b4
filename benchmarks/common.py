"""What the sections share: clocks, memory, quality, and a record of the machine."""

import argparse
import json
import os
import platform
import statistics
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from helpers import recall_at_budget

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
FOR_LESSONS = ROOT / "helpers" / "bundled" / "measurements"
# In the order of the page.
SECTIONS = (
    *(
        "tabular",
        "tables",
        "transactions",
        "selection",
        "mnist",
        "images",
        "highdim",
        "gan",
        "density",
        "sequences",
        "tails",
        "intervals",
        "scoring",
        "scale",
        "start",
        "series",
    ),
)
# Up to half an hour each, or 900 MB of downloads: measured with FULL=1, or when named.
LONG = ("tables", "transactions", "selection", "images", "highdim", "gan", "density", "sequences", "start")
ONE_RUN_IS_ENOUGH = 30  # seconds
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "torch", "pyod", "onnxruntime", "dask")


def to_measure(full):
    """Return the sections to run: without `full` the long ones only if nothing is stored of them."""
    return [name for name in SECTIONS if full or name not in LONG or not (RESULTS / f"{name}.json").exists()]


def machine():
    """Describe what the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = models[0] if models else cpu
    versions = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"date": str(date.today()), "cpu": cpu, "cores": os.cpu_count(), "versions": versions}


def clock(function):
    """Return the seconds that a call takes, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def timed(function):
    """Call three times, or once if that takes over 30 s; return the times, and the first result."""
    elapsed, first = clock(function)
    times = [elapsed]
    if elapsed <= ONE_RUN_IS_ENOUGH:
        times += [clock(function)[0] for _ in range(2)]
    return summary(times), first


def summary(times):
    return {"median": statistics.median(times), "low": min(times), "high": max(times), "runs": len(times)}


def alternate(programs, rounds=3):
    """Run programs in turn, so that a busy minute of the machine meets all of them.

    Return the seconds of each round, {name: seconds}, and what each program returned at last.
    """
    times, results = [], {}
    for _ in range(rounds):
        times.append({})
        for name, run in programs.items():
            times[-1][name], results[name] = clock(run)
    return times, results


def ratio(rounds, over, under, factor=1.0):
    """Return median and range, over the rounds, of the seconds of one program over those of another."""
    return summary([factor * times[over] / times[under] for times in rounds])


def seconds_of(rounds, name):
    return summary([times[name] for times in rounds])


def in_processes(run, jobs):
    """Run jobs in one process a core, with one thread each; yield each with its seconds (a rough order) and result."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(clock, partial(run, *job)) for job in jobs]
        for job, future in zip(jobs, waiting, strict=True):
            yield job, *future.result()


def watch(look):
    """Make a callback that looks at the model after each epoch: what it saw is `seen`, the seconds without `spent`."""
    import keras

    class Watch(keras.callbacks.Callback):
        spent = 0.0

        def on_train_begin(self, logs=None):
            self.seen, self.since = [], time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.spent += time.perf_counter() - self.since
            self.seen.append(look(self.model, self.spent))
            self.since = time.perf_counter()

    return Watch()


def detection(y, scores):
    return {
        "ROC AUC": float(roc_auc_score(y, scores)),
        "average precision": float(average_precision_score(y, scores)),
        "recall at 2 %": float(recall_at_budget(y, scores, 0.02)),
    }


def multiply_adds(model):
    """Count the multiplications of the dense layers for one sample."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights if len(weight.shape) == 2)


def matmul_rate(size=2048, repeats=10):
    """Measure floating-point operations a second of this machine's float32 matrix product."""
    import tensorflow as tf

    a = tf.random.normal((size, size))
    product = tf.function(lambda a, b: tf.reduce_sum(tf.matmul(a, b)))
    product(a, a).numpy()
    return 2 * size**3 / min(clock(lambda: product(a, a).numpy())[0] for _ in range(repeats))


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class PeakMemory:
    """Sample the resident memory every 2 ms; `above` is the peak over what was held before, in MB."""

    def __enter__(self):
        self.before = self.peak = resident_mb()
        self.running = True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while self.running:
            self.peak = max(self.peak, resident_mb())
            time.sleep(0.002)

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        self.above = self.peak - self.before


def say(*words):
    print("   ", *words, flush=True)


def section(file, measure):
    """Run one section from the command line and store what it measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    elapsed, result = clock(lambda: measure(full))
    store(Path(file).stem, {"machine": machine(), "full": full, "minutes": elapsed / 60} | result)


def store(name, record):
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def store_for_lessons(name, about, machine, rows):
    """Write rows into the package, column by column, where `helpers.load_measurement` reads them."""
    columns = [f"  {json.dumps(key)}: {json.dumps([row[key] for row in rows])}" for key in rows[0]]
    head = json.dumps({"about": about, "machine": machine}, indent=1, ensure_ascii=False)[:-2]
    text = head + ',\n "columns": {\n' + ",\n".join(columns) + "\n }\n}\n"
    FOR_LESSONS.mkdir(exist_ok=True)
    (FOR_LESSONS / f"{name}.json").write_text(text, encoding="utf-8")
