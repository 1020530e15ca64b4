"""Start-up, and wall time and peak memory of each notebook."""

import ast
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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
# Runs when a kernel starts, and keeps account of what the start of TensorFlow and the trainings take.
ACCOUNT = """
def _keep_account():
    import json, os, time
    from pathlib import Path

    begin = time.perf_counter()
    from helpers._tensorflow import keras
    spent, fit = {"start": time.perf_counter() - begin, "training": 0.0, "trainings": 0}, keras.Model.fit

    def counted(*args, **settings):
        begin = time.perf_counter()
        try:
            return fit(*args, **settings)
        finally:
            spent["training"] += time.perf_counter() - begin
            spent["trainings"] += 1
            Path(os.environ["ACCOUNT"]).write_text(json.dumps(spent))

    keras.Model.fit = counted
_keep_account()
del _keep_account
"""
SCORE = (
    "import numpy as np; from helpers import dense_autoencoder, reconstruction_error; "
    "reconstruction_error(dense_autoencoder(32, 24), np.zeros((1000, 32)))"
)


def process(*arguments, **environment):
    """Run a process; return its seconds and the peak memory of its largest process, itself or a child, in MB."""
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(arguments, cwd=ROOT, env=os.environ | environment, **quiet)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{arguments} ended with {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1e3


def run(path):
    """Run a notebook; return its seconds, its memory, and what of the seconds the start and the trainings took."""
    with TemporaryDirectory() as folder:
        startup = Path(folder) / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "account.py").write_text(ACCOUNT, encoding="utf-8")
        account = Path(folder) / "account.json"
        seconds, memory = process(sys.executable, "-c", RUN, str(path), IPYTHONDIR=folder, ACCOUNT=str(account))
        return {"seconds": seconds, "memory": memory, **json.loads(account.read_text(encoding="utf-8"))}


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
        rows.append({"name": path.stem, **run(path), "code": code_of(path)})
        say(f"{path.stem}: {rows[-1]['seconds']:.0f} s, {rows[-1]['memory']:.0f} MB")
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
    lines = [["notebook", "wall time, s", "start, s", "training, s", "trainings", "the rest, s", "peak memory, MB"]]
    rows = [{**row, "rest": row["seconds"] - row["start"] - row["training"]} for row in result["rows"]]
    columns = ("seconds", "start", "training", "trainings", "rest")
    rows.append({"name": "all", **{key: sum(row[key] for row in rows) for key in columns}})
    for row in rows:
        memory = f"{row['memory']:.0f}" if "memory" in row else ""
        lines.append([row["name"], *(f"{row[key]:.0f}" for key in columns), memory])
    yield table(lines)
    share = {key: 100 * rows[-1][key] / rows[-1]["seconds"] for key in columns}
    yield (
        "A notebook keeps its row until its code changes (or `FULL=1`); the start-up is measured each time. **Where "
        f"the time goes:** {share['training']:.0f} % of the whole into {rows[-1]['trainings']} trainings, "
        f"{share['start']:.0f} % into the start of TensorFlow in each kernel, the rest into scores, plain "
        "methods, figures, the start of the kernels and, in notebook 06, programs that start TensorFlow on their own. "
        "Of a short training much is paid once (see [the table of notebook 01](#tabular))."
    )
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
