"""What the sections share: clocks, memory, quality, and a record of the machine."""

import argparse
import json
import os
import platform
import statistics
import threading
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from helpers import recall_at_budget

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
ONE_RUN_IS_ENOUGH = 30  # seconds
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "torch", "pyod")


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
    RESULTS.mkdir(exist_ok=True)
    record = {"machine": machine(), "full": full, "minutes": elapsed / 60} | result
    (RESULTS / f"{Path(file).stem}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
