"""Find the notebooks, run one in a fresh kernel, and make its outputs fit to be stored."""

import argparse
import base64
import io
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from kernels import AsyncLocalKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.output_widget import OutputWidget
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
CELL_TIMEOUT = 900  # seconds
PNG_LIMIT = 90_000  # bytes


def arguments(description):
    """Return a parser with the option that all tools share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--only", default="", help="take the notebooks whose path contains this, or the one of this name"
    )
    return parser


def find_notebooks(only=""):
    """Return the notebooks whose path contains `only`, or the one of that name; lessons first, then solutions."""
    paths = [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))]
    named = [path for path in paths if name_of(path) == only]
    chosen = named or [path for path in paths if only in path.relative_to(NOTEBOOKS).as_posix()]
    if not chosen:
        sys.exit(f"No notebook's path contains {only!r}; there are: {', '.join(map(name_of, paths))}")
    return chosen


def name_of(path):
    """Name a notebook by its path: "01_tabular_autoencoder", "solutions/01_tabular_autoencoder"."""
    return path.relative_to(NOTEBOOKS).with_suffix("").as_posix()


class SilentOutput(OutputWidget):
    """An output widget that tells the kernel nothing.

    nbclient sends each output back on the channel that it awaits the cell's reply on; now and then the reply is
    missed, and the run hangs (jupyter/nbclient, issue 312).
    """

    def sync_state(self):
        pass


def execute(path, **environment):
    """Run a notebook in a fresh kernel; return it, the seconds that it took, and what went wrong or ''."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        kernel_manager_class=AsyncLocalKernelManager,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.widget_registry["@jupyter-widgets/output"]["OutputModel"] = SilentOutput
    inherited = {name: value for name, value in os.environ.items() if name != "TUTORIAL_CLAIMS"}
    start, problem = time.perf_counter(), ""
    try:
        client.execute(env=inherited | {"TUTORIAL_STRICT": "1"} | environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        problem = describe_failure(notebook, error)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook, time.perf_counter() - start, problem


def execute_each(paths, **environment):
    """Run the notebooks one by one, with a progress line for each."""
    for number, path in enumerate(paths, 1):
        print(f"[{number}/{len(paths)}] {path.relative_to(NOTEBOOKS).as_posix()} … ", end="", flush=True)
        notebook, seconds, problem = execute(path, **environment)
        print(outcome(seconds, problem), flush=True)
        yield path, notebook, problem


def outcome(seconds, problem):
    return f"FAILED after {seconds:.0f} s\n    {problem}" if problem else f"{seconds:.0f} s"


def describe_failure(notebook, error):
    """Name the cell that failed, with its first line and the message."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                first = cell.source.strip().splitlines()[0]
                return f"cell {number} ({first!r}): {output.ename}: {output.evalue}"
    return f"{type(error).__name__}: {error}"


def clean(notebook):
    """Strip what varies from run to run; return a line for everything that must not be stored."""
    problems = []
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        cell.outputs = [o for o in cell.outputs if "application/vnd.jupyter.widget-view+json" not in o.get("data", {})]
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink_png(output.data["image/png"])
            if output.get("name") == "stderr":
                problems.append(f"cell {number} writes to stderr: {output.text.strip()[:200]}")
            text = json.dumps(output)
            if str(ROOT) in text or str(Path.home()) + os.sep in text:
                problems.append(f"cell {number} shows a path of this machine")
            if re.search(r"\bat 0x[0-9a-f]{6,}", text):
                problems.append(f"cell {number} shows a memory address")
    return problems


def shrink_png(encoded):
    """Store a large picture with a palette of 128 colours; small ones stay as they are."""
    content = base64.b64decode(encoded)
    if len(content) < PNG_LIMIT:
        return encoded
    target = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(128).save(target, "PNG", optimize=True)
    return base64.b64encode(target.getvalue()).decode("ascii")
