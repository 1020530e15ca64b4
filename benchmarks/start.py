"""From a fresh clone to the first cell of notebook 01, with what make sets up and with pip alone."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from common import ROOT, clock, say, section
from page import Bar, table

TITLE = "From a fresh clone to the first notebook"
MAKE, PIP, AGAIN = (
    "make, which takes uv",
    "pip, by the lines of the README",
    "make, what it downloads kept by uv before",
)
STEPS = ("clone", "set-up", "first cell")
FIRST_CELL = """
import sys
sys.path.insert(0, "tools")
import nbformat
from execute import AsyncLocalKernelManager
from nbclient import NotebookClient
notebook = nbformat.read("notebooks/01_tabular_autoencoder.ipynb", 4)
first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
notebook.cells = notebook.cells[: first + 1]
NotebookClient(
    notebook, kernel_manager_class=AsyncLocalKernelManager, resources={"metadata": {"path": "notebooks"}}
).execute()
"""


def make(clone, environment):
    run(["sh", "tools/setup.sh", ".venv"], clone, environment)


def pip(clone, environment):
    run([sys.executable, "-m", "venv", ".venv"], clone, environment)
    run([".venv/bin/python", "-m", "pip", "install", "-r", "requirements.txt", "-e", "."], clone, environment)


def run(command, folder, environment):
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True, capture_output=True)


def way(set_up, environment):
    """Return the seconds of each step."""
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "series"
        steps = {
            "clone": lambda: run(["git", "clone", str(ROOT), str(clone)], folder, {}),
            "set-up": lambda: set_up(clone, environment),
            "first cell": lambda: run([".venv/bin/python", "-c", FIRST_CELL], clone, environment),
        }
        return {name: clock(step)[0] for name, step in steps.items()}


def measure(full):
    fresh = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "PYTHON": sys.executable}
    with TemporaryDirectory() as cache:
        kept = {"UV_CACHE_DIR": cache, "PIP_NO_CACHE_DIR": "1", "PYTHON": sys.executable}
        way(make, kept)
        plan = {MAKE: (make, fresh), PIP: (pip, fresh), AGAIN: (make, kept)}
        rows = []
        for name, (set_up, environment) in plan.items():
            seconds = way(set_up, environment)
            rows.append({"way": name, **seconds, "all": sum(seconds.values())})
            say(str(rows[-1]))
    return {"rows": rows, "kept compiled": not os.environ.get("PYTHONDONTWRITEBYTECODE")}


def bars(result):
    total = {row["way"]: row["all"] for row in result["rows"]}
    return [Bar(f"from a clone to the first cell: {PIP}, over {MAKE}", total[PIP] / total[MAKE], 1.5)]


def text(result):
    lines = [["", *(f"{step}, s" for step in STEPS), "all, s"]]
    lines += [[row["way"], *(f"{row[step]:.1f}" for step in (*STEPS, "all"))] for row in result["rows"]]
    yield table(lines)
    so = " not" if result["kept compiled"] else ""
    yield (
        "Each once, every package downloaded but in the last row; the clone is one of a folder on this machine. The "
        "first cell imports TensorFlow and the helpers in a kernel of its own. Where Python may not keep what it "
        f"compiles (the variable `PYTHONDONTWRITEBYTECODE` is set, as in many containers; here it was{so}), the set-up "
        "compiles all packages, since every start of TensorFlow would otherwise compile it again."
    )


if __name__ == "__main__":
    section(__file__, measure)
