"""Run, refresh, copy and question the notebooks: ``python tools/notebooks.py --help``."""

import argparse
import base64
import html
import io
import json
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.output_widget import OutputWidget
from nbconvert import HTMLExporter
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CELL_TIMEOUT = 900  # seconds
PNG_LIMIT = 90_000  # bytes
CLAIM_SOURCE = re.compile(r"\bexpect\(")
CLAIMS_HEAD = """# What every claim measured

Written by `make claims SEEDS="{seeds}"`: the bar of each `expect` line, the value that came closest to it or missed it
by most, the seed that gave it, and how many seeds held.

"""
SIGNS = {"at_least": "≥", "at_most": "≤"}


def find_notebooks(only=""):
    """Return the notebooks and their solutions whose name contains `only`, lessons first."""
    folder = ROOT / "notebooks"
    paths = [*sorted(folder.glob("*.ipynb")), *sorted((folder / "solutions").glob("*.ipynb"))]
    chosen = [path for path in paths if only in str(path.relative_to(folder))]
    if not chosen:
        sys.exit(f"No notebook's name contains {only!r}; there are: {', '.join(path.stem for path in paths)}")
    return chosen


class SilentOutput(OutputWidget):
    """An output widget that tells the kernel nothing.

    nbclient sends each output back on the channel that it awaits the cell's reply on; now and then the reply is
    missed, and the run hangs (jupyter/nbclient, issue 312).
    """

    def sync_state(self):
        pass


def execute(path):
    """Run a notebook in a fresh kernel; return it, the seconds that it took, and what went wrong or ''."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.widget_registry["@jupyter-widgets/output"]["OutputModel"] = SilentOutput
    start, problem = time.perf_counter(), ""
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        problem = describe_failure(notebook, error)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook, time.perf_counter() - start, problem


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


def run(only):
    """Run every notebook into build/ and make HTML pages with an index."""
    BUILD.mkdir(exist_ok=True)
    pages, failed = [], 0
    for path, notebook, seconds, problem in each(find_notebooks(only)):
        failed += bool(problem)
        target = BUILD / path.relative_to(ROOT / "notebooks")
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
        body, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook, {"metadata": {"name": path.stem}})
        page = target.with_suffix(".html")
        # Links between notebooks lead to their pages.
        page.write_text(re.sub(r'(href="[^":]+)\.ipynb"', r'\1.html"', body), encoding="utf-8")
        title = next((c.source.splitlines()[0].lstrip("# ") for c in notebook.cells if c.source), path.stem)
        pages.append((page.relative_to(BUILD).as_posix(), title, seconds, problem))
    (BUILD / "index.html").write_text(index_page(pages), encoding="utf-8")
    print(f"\nOpen {BUILD / 'index.html'} in a browser." + (f" {failed} of {len(pages)} failed." if failed else ""))
    return 1 if failed else 0


def each(paths):
    """Execute the notebooks one by one, with a progress line for each."""
    for number, path in enumerate(paths, 1):
        name = path.relative_to(ROOT / "notebooks").as_posix()
        print(f"[{number}/{len(paths)}] {name} … ", end="", flush=True)
        notebook, seconds, problem = execute(path)
        print(f"{seconds:.0f} s" if not problem else f"FAILED after {seconds:.0f} s\n    {problem}", flush=True)
        yield path, notebook, seconds, problem


def index_page(pages):
    rows = "\n".join(
        f'<tr><td><a href="{html.escape(link)}">{html.escape(title)}</a></td><td>{seconds:.0f} s</td>'
        f"<td>{'failed: ' + html.escape(problem) if problem else ''}</td></tr>"
        for link, title, seconds, problem in pages
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Deep anomaly detection</title>'
        "<style>body{font:16px sans-serif;max-width:50em;margin:3em auto}td{padding:.3em 1em .3em 0}</style>"
        f"<h1>Deep anomaly detection</h1><table>\n{rows}\n</table></html>\n"
    )


def refresh(only):
    """Run the notebooks in place and store clean outputs; a notebook with a problem keeps its old ones."""
    failed = 0
    for path, notebook, _, problem in each(find_notebooks(only)):
        problems = [problem] if problem else clean(notebook)
        if problems:
            failed += 1
            print(f"    not stored: {'; '.join(problems)}")
        else:
            nbformat.write(notebook, path)
            store_readme_figure(notebook, path.stem)
    return 1 if failed else 0


def store_readme_figure(notebook, name):
    """Copy the picture of the cell tagged "readme-figure" to docs/, so that README shows what the notebook shows."""
    for cell in notebook.cells:
        if "readme-figure" in cell.metadata.get("tags", []):
            picture = next(o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            (ROOT / "docs" / f"{name}.png").write_bytes(base64.b64decode(picture))


def workshop(only):
    """Write copies without outputs, so that participants predict before they see."""
    for path in find_notebooks(only):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        target = BUILD / "workshop" / path.relative_to(ROOT / "notebooks")
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    print(f"Copies without outputs are in {BUILD / 'workshop'}")
    return 0


def claims(only, seeds, workers):
    """Run every notebook under each seed and show which claim held where."""
    paths = [path for path in find_notebooks(only) if CLAIM_SOURCE.search(path.read_text(encoding="utf-8"))]
    if not paths:
        sys.exit(f"No notebook whose name contains {only!r} makes a claim.")
    records, runs, failed = [], [], 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(claims_of, path, seed) for seed in seeds for path in paths]
        for number, job in enumerate(as_completed(jobs), 1):
            found, run, seconds, problem = job.result()
            records += found
            runs.append(run)
            failed += bool(problem)
            outcome = f"FAILED after {seconds:.0f} s\n    {problem}" if problem else f"{seconds:.0f} s"
            print(f"[{number}/{len(jobs)}] {run[0]}, seed {run[1]}: {outcome}", flush=True)
            # Ten seeds take more than an hour: what was measured is stored at once.
            table = claims_table(records, runs)
            report = CLAIMS_HEAD.format(seeds=" ".join(map(str, sorted({seed for _, seed in runs})))) + markdown_table(
                table
            )
            BUILD.mkdir(exist_ok=True)
            (BUILD / "claims.md").write_text(report, encoding="utf-8")
    missed = int((table["missed by"] != "–").sum())
    print(f"\n{report}\n{len(table)} claims, {missed} missed, {failed} runs failed; stored in build/claims.md")
    return 1 if missed or failed else 0


def claims_of(path, seed):
    """Run one notebook under one seed; return its claims, its name and seed, the seconds, and what went wrong or ''."""
    name = path.relative_to(ROOT / "notebooks").with_suffix("").as_posix()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.jsonl"
        os.environ |= {"TUTORIAL_SEED": str(seed), "TUTORIAL_CLAIMS": str(file)}
        _, seconds, problem = execute(path)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) | {"notebook": name, "seed": seed} for line in lines], (name, seed), seconds, problem


def claims_table(records, runs):
    """One row a claim: its bar, the worst measured value, and the seeds that missed it or never got to it."""
    if not records:
        return pd.DataFrame({"notebook": [], "claim": [], "missed by": []})
    rows = []
    for (notebook, claim), group in (
        pd.DataFrame(records).sort_values("notebook", kind="stable").groupby(["notebook", "claim"], sort=False)
    ):
        bounds = group[["at_least", "at_most"]].astype(float)
        value = group["value"].astype(float)
        margin = pd.concat([value - bounds["at_least"], bounds["at_most"] - value], axis=1).min(axis=1)
        worst = group.loc[margin.where(value.notna(), -np.inf).idxmin()]  # NaN is the worst there is
        bars = [f"{sign} {worst[side]:g}" for side, sign in SIGNS.items() if pd.notna(worst[side])]
        seeds = {seed for name, seed in runs if name == notebook}
        missed = sorted(set(group.loc[~group["holds"].astype(bool), "seed"]) | seeds - set(group["seed"]))
        rows.append(
            {
                "notebook": notebook,
                "claim": claim,
                "bar": ", ".join(bars),
                "worst": f"{worst['value']:.4g}",
                "at seed": worst["seed"],
                "held": f"{len(seeds) - len(missed)} of {len(seeds)}",
                "missed by": " ".join(map(str, missed)) or "–",
            }
        )
    return pd.DataFrame(rows)


def markdown_table(table):
    rows = [table.columns, ["---"] * table.shape[1], *table.to_numpy()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["run", "refresh", "workshop", "claims"])
    parser.add_argument("--only", default="", help="take the notebooks whose path contains this")
    parser.add_argument("--seeds", default="0 1 2", help="for claims: seeds, separated by blanks")
    parser.add_argument("--workers", type=int, default=1, help="for claims: notebooks that run at the same time")
    args = parser.parse_args()
    if args.action == "claims":
        try:
            seeds = [int(seed) for seed in args.seeds.split()]
        except ValueError:
            parser.error(f"--seeds is {args.seeds!r}, expected integers separated by blanks")
        if not seeds:
            parser.error("--seeds holds no seed")
        if args.workers < 1:
            parser.error(f"--workers is {args.workers}, expected 1 or more")
        return claims(args.only, seeds, args.workers)
    return {"run": run, "refresh": refresh, "workshop": workshop}[args.action](args.only)


if __name__ == "__main__":
    sys.exit(main())
