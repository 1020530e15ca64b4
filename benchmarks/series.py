"""Start-up, and wall time and peak memory of each notebook."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import nbformat
from common import RESULTS, ROOT, say, section, summary
from page import span, table

TITLE = "Start-up and the series"
PICTURE = "Wall time and peak memory of each notebook as bars"

RUN = (
    "import sys; sys.path.insert(0, 'tools'); import execute; "
    "sys.exit(execute.execute(execute.Path(sys.argv[1]))[2] or 0)"
)
SCORE = (
    "import numpy as np; from helpers import dense_autoencoder, reconstruction_error; "
    "reconstruction_error(dense_autoencoder(32, 24), np.zeros((1000, 32)))"
)


def process(*arguments):
    """Run a process; return its seconds and the peak memory of its largest process, itself or a child, in MB."""
    start = time.perf_counter()
    child = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{arguments} ended with {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1e3


def code_of(path):
    """Return a fingerprint of the code of a notebook, layout and comments left out."""
    cells = nbformat.read(path, as_version=4).cells
    trees = [ast.dump(ast.parse(cell.source)) for cell in cells if cell.cell_type == "code"]
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:16]


def stored_rows():
    """Return what is stored of notebooks whose code has not changed since."""
    path = RESULTS / "series.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    paths = {row["name"]: ROOT / "notebooks" / f"{row['name']}.ipynb" for row in rows}
    return {
        row["name"]: row
        for row in rows
        if paths[row["name"]].exists() and row.get("code") == code_of(paths[row["name"]])
    }


def measure(full):
    starts = {"import helpers": "import helpers", "the first score after a cold start": SCORE}
    start_up = {}
    for name, code in starts.items():
        start_up[name] = summary([process(sys.executable, "-c", code)[0] for _ in range(3)])
        say(f"{name}: {start_up[name]['median']:.2f} s")
    rows, stored = [], {} if full else stored_rows()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if path.stem in stored:
            say(f"{path.stem}: as stored")
            rows.append(stored[path.stem])
            continue
        seconds, memory = process(sys.executable, "-c", RUN, str(path))
        rows.append({"name": path.stem, "seconds": seconds, "memory": memory, "code": code_of(path)})
        say(f"{path.stem}: {seconds:.0f} s, {memory:.0f} MB")
    result = {"start-up": start_up, "rows": rows}
    if full:
        result["make test"] = process("make", "test")[0]
        say(f"make test: {result['make test'] / 60:.1f} min")
    return result


def bars(result):
    """Hold nothing: a notebook's own first cell states its time, and a test compares the two."""
    return []


def text(result):
    yield table([["start", "seconds"], *([name, span(times)] for name, times in result["start-up"].items())])
    lines = [["notebook", "wall time, s", "peak memory, MB"]]
    lines += [[row["name"], f"{row['seconds']:.0f}", f"{row['memory']:.0f}"] for row in result["rows"]]
    lines.append(["all", f"{sum(row['seconds'] for row in result['rows']):.0f}", ""])
    yield table(lines)
    yield "A notebook keeps its row until its code changes (or `FULL=1`); the start-up is measured each time."
    if "make test" in result:
        yield f"`make test` as a whole: {result['make test'] / 60:.1f} minutes, one process a core."


def figure(result):
    height = 1.5 + 0.35 * len(result["rows"])
    drawn, axes = plt.subplots(1, 2, figsize=(9, height), sharey=True, layout="constrained")
    names = [row["name"] for row in result["rows"]]
    for ax, key, label in zip(axes, ("seconds", "memory"), ("wall time, s", "peak memory, MB"), strict=True):
        ax.barh(names, [row[key] for row in result["rows"]])
        ax.set_xlabel(label)
    axes[0].invert_yaxis()
    return drawn


if __name__ == "__main__":
    section(__file__, measure)
