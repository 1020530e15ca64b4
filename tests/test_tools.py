"""The commands behind make: run, refresh, workshop, claims, set-up and lint."""

import base64
import datetime
import json
import os
import re
import shutil
import subprocess
import sys

import execute
import nbformat
import pytest

from conftest import ROOT

linux_only = pytest.mark.skipif(os.name == "nt", reason="make and sh are not there")


@pytest.fixture
def project(tmp_path):
    """A small project with one notebook that works and one that fails."""
    (tmp_path / "tools").mkdir()
    for path in [*(ROOT / "tools").glob("*.py"), ROOT / "tools" / "slides.html"]:
        if path.name != "build_site.py":  # run does without
            shutil.copy(path, tmp_path / "tools")
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    claim = "import os\nfrom helpers import expect\nseed = int(os.environ.get('TUTORIAL_SEED', 0))"
    write(
        tmp_path / "notebooks" / "01_works.ipynb",
        ["# 01 · Works"],
        [
            claim,
            "expect('one', 1 - seed / 10, at_least=0.85)",
            "expect('rate', [0.1, 0.1, float('nan')][seed], at_most=1)",
        ],
    )
    write(tmp_path / "notebooks" / "02_fails.ipynb", ["# 02 · Fails"], ["x = 1", "y = x / 0"])
    return tmp_path


def write(path, texts, codes):
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    cells += [nbformat.v4.new_code_cell(code) for code in codes]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def tool(project, name, *arguments):
    return subprocess.run(
        [sys.executable, f"tools/{name}.py", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_names_the_failing_cell(project):
    result = tool(project, "run")
    assert result.returncode == 1
    assert "01_works.ipynb … " in result.stdout
    assert "cell 2 ('y = x / 0'): ZeroDivisionError: division by zero" in result.stdout
    assert "1 of 2 failed" in result.stdout
    copies = project / "build" / "notebooks"
    assert "✓ one: 1.00 (at least 0.85)" in (copies / "01_works.ipynb").read_text(encoding="utf-8")
    assert "ZeroDivisionError" in (copies / "02_fails.ipynb").read_text(encoding="utf-8")


def test_run_of_one_notebook_says_nothing_but_its_progress(project):
    result = tool(project, "run", "--only", "01")
    assert result.returncode == 0
    assert result.stderr == ""
    assert re.fullmatch(r"\[1/1\] 01_works.ipynb … \d+ s\n", result.stdout)
    assert (project / "build" / "notebooks" / "02_fails.ipynb").exists()


STUB = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--notebooks", type=pathlib.Path)
parser.add_argument("--output", type=pathlib.Path)
args = parser.parse_args()
args.output.mkdir(parents=True)
(args.output / "index.html").write_text(" ".join(sorted(path.name for path in args.notebooks.glob("*.ipynb"))))
"""


def test_run_builds_the_site_from_the_fresh_copies(project):
    stub = project / "tools" / "build_site.py"
    stub.write_text(STUB, encoding="utf-8")
    result = tool(project, "run", "--only", "01")
    assert result.returncode == 0
    assert (project / "build" / "site" / "index.html").read_text() == "01_works.ipynb 02_fails.ipynb"
    stub.write_text("raise SystemExit('no theme')", encoding="utf-8")
    result = tool(project, "run", "--only", "01")
    assert result.returncode == 1
    assert "no theme" in result.stderr


def test_a_missed_claim_stops_run_and_refresh(project):
    write(project / "notebooks" / "03_misses.ipynb", [], ["from helpers import expect\nexpect('one', 1, at_least=2)"])
    for name in ("run", "refresh"):
        result = tool(project, name, "--only", "03")
        assert result.returncode == 1
        assert "AssertionError: ✗ one: 1 (at least 2)" in result.stdout


def test_refresh_takes_no_seed_from_its_caller(project, monkeypatch):
    monkeypatch.setenv("TUTORIAL_SEED", "1")
    assert tool(project, "refresh", "--only", "01").returncode == 0
    assert "one: 1.00 " in (project / "notebooks" / "01_works.ipynb").read_text(encoding="utf-8")


@linux_only
def test_kernels_use_private_sockets_and_leave_none_behind(project, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = (
        "import json\nfrom pathlib import Path\nfrom ipykernel.connect import get_connection_file\n"
        "info = json.loads(Path(get_connection_file()).read_text())\nassert info['transport'] == 'ipc', info"
    )
    write(project / "notebooks" / "03_socket.ipynb", [], [code])
    result = tool(project, "run", "--only", "03")
    assert result.returncode == 0, result.stdout
    assert list(tmp_path.glob("kernel-*")) == []


@linux_only
def test_kernels_do_without_sockets_whose_path_is_too_long(project, tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    assert tool(project, "run", "--only", "01").returncode == 0


def test_notebooks_come_sorted_and_without_checkpoints(project, monkeypatch):
    monkeypatch.setattr(execute, "NOTEBOOKS", project / "notebooks")
    for folder in ("", "solutions"):
        for name in ("03_more", "01_works"):
            write(project / "notebooks" / folder / f"{name}.ipynb", [], ["1"])
            checkpoint = project / "notebooks" / folder / ".ipynb_checkpoints" / f"{name}-checkpoint.ipynb"
            checkpoint.parent.mkdir(exist_ok=True)
            write(checkpoint, [], ["1 / 0"])
    found = [execute.name_of(path) for path in execute.find_notebooks()]
    assert found == ["01_works", "02_fails", "03_more", "solutions/01_works", "solutions/03_more"]
    assert [execute.name_of(path) for path in execute.find_notebooks("01")] == ["01_works", "solutions/01_works"]
    assert [execute.name_of(path) for path in execute.find_notebooks("solutions/03")] == ["solutions/03_more"]
    assert [execute.name_of(path) for path in execute.find_notebooks("01_works")] == ["01_works"]


def test_refresh_twice_stores_the_same_and_keeps_what_fails(project):
    path, bad = project / "notebooks" / "01_works.ipynb", project / "notebooks" / "02_fails.ipynb"
    before = bad.read_bytes()
    assert tool(project, "refresh", "--only", "01").returncode == 0
    first = path.read_bytes()
    assert tool(project, "refresh", "--only", "01").returncode == 0
    assert path.read_bytes() == first
    assert "✓ one: 1.00 (at least" in first.decode()
    assert tool(project, "refresh", "--only", "02").returncode == 1
    assert bad.read_bytes() == before


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('log line', file=sys.stderr)", "cell 0 writes to stderr: log line"),
        ("import os; print(os.getcwd())", "cell 0 shows a path of this machine"),
        ("object()", "cell 0 shows a memory address"),
    ],
)
def test_refresh_refuses_what_must_not_be_stored(project, code, message):
    write(project / "notebooks" / "03_dirty.ipynb", [], [code])
    result = tool(project, "refresh", "--only", "03")
    assert result.returncode == 1
    assert message in result.stdout


def test_refresh_strips_widgets(project):
    path = project / "notebooks" / "03_bar.ipynb"
    write(path, [], ["from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass"])
    assert tool(project, "refresh", "--only", "03").returncode == 0
    assert nbformat.read(path, 4).cells[0].outputs == []


def test_outputs_of_widgets_are_not_sent_back(project):
    path = project / "notebooks" / "03_slider.ipynb"
    codes = [
        "from ipywidgets import Output\nout = Output()\nwith out:\n    print('caught')",
        "assert out.outputs == ()",
    ]
    write(path, [], codes)
    result = tool(project, "run", "--only", "03")
    assert result.returncode == 0, result.stdout


def test_refresh_shrinks_large_pictures(project):
    path = project / "notebooks" / "03_noise.ipynb"
    noise = "plt.imshow(np.random.default_rng(0).random((200, 300, 3)), interpolation='nearest')"
    write(path, [], [f"import matplotlib.pyplot as plt, numpy as np\nax = plt.figure(figsize=(6, 3))\nax = {noise}"])
    assert tool(project, "refresh", "--only", "03").returncode == 0
    picture = nbformat.read(path, 4).cells[0].outputs[0].data["image/png"]
    assert len(base64.b64decode(picture)) < 100_000


def test_workshop_copies_hold_no_outputs(project):
    tool(project, "refresh", "--only", "01")
    assert tool(project, "workshop").returncode == 0
    copy = nbformat.read(project / "build" / "workshop" / "01_works.ipynb", 4)
    original = nbformat.read(project / "notebooks" / "01_works.ipynb", 4)
    assert [cell.source for cell in copy.cells] == [cell.source for cell in original.cells]
    assert all(not cell.outputs and cell.execution_count is None for cell in copy.cells if cell.cell_type == "code")
    assert any(cell.outputs for cell in original.cells if cell.cell_type == "code")


def test_answers_are_folded_in_the_workshop_copies(project):
    path = project / "notebooks" / "03_asks.ipynb"
    write(path, ["**Predict:** why?", "Because.\n", "<details><summary>Answer</summary>\n\nNo.\n\n</details>"], [])
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells[1:]:
        cell.metadata["tags"] = ["answer"]
    nbformat.write(notebook, path)
    assert tool(project, "workshop", "--only", "03").returncode == 0
    copy = nbformat.read(project / "build" / "workshop" / "03_asks.ipynb", 4)
    assert copy.cells[0].source == "**Predict:** why?"
    assert copy.cells[1].source == "<details><summary>Answer</summary>\n\nBecause.\n\n</details>"
    assert copy.cells[2].source == notebook.cells[2].source


def record_of(project, name):
    return json.loads((project / "benchmarks" / "claims" / f"{name}.json").read_text(encoding="utf-8"))


def page_of(project):
    return (project / "benchmarks" / "claims.md").read_text(encoding="utf-8")


def test_claims_are_recorded_and_rendered(project):
    result = tool(project, "claims", "measure", "--only", "01", "--seeds", "0 1 2")
    assert result.returncode == 1
    record = record_of(project, "01_works")
    assert record["seeds"] == [0, 1, 2]
    assert record["measured"] == datetime.date.today().isoformat()
    assert record["claims"][0] == {"claim": "one", "at_least": 0.85, "values": {"0": 1.0, "1": 0.9, "2": 0.8}}
    assert [claim["claim"] for claim in record["claims"]] == ["one", "rate"]
    assert "✗ 01_works: one (seeds 2)" in result.stdout
    assert "2 claims, 2 missed, 0 runs failed" in result.stdout
    assert "| one | ≥ 0.85 | 0.8 | 0.9 | 1 | 2 of 3 | missed by seeds 2" in page_of(project)
    assert "| rate | ≤ 1 | 0.1 | 0.1 | 0.1 | 2 of 3 | missed by seeds 2" in page_of(project)


def test_further_seeds_are_added_until_the_code_changes(project):
    path = project / "notebooks" / "01_works.ipynb"
    tool(project, "refresh", "--only", "01")
    assert tool(project, "claims", "measure", "--only", "01", "--seeds", "0").returncode == 0
    assert tool(project, "claims", "measure", "--only", "01", "--seeds", "1").returncode == 0
    assert record_of(project, "01_works")["seeds"] == [0, 1]
    assert "| one | ≥ 0.85 | 0.9 | 0.95 | 1 | 2 of 2 |  |" in page_of(project)

    # Comments and layout change no value.
    change(path, "expect('one', ", "expect('one',  # a comment\n")
    tool(project, "claims", "measure", "--only", "01", "--seeds", "0")
    assert record_of(project, "01_works")["seeds"] == [0, 1]

    change(path, "seed / 10", "seed / 20")
    assert tool(project, "claims", "render").returncode == 0
    assert "Older than its notebook" in page_of(project)
    tool(project, "claims", "measure", "--only", "01", "--seeds", "0")
    assert record_of(project, "01_works")["seeds"] == [0]
    assert "Older than its notebook" not in page_of(project)


def test_a_bar_set_after_the_run_is_marked_until_it_is_measured(project):
    path = project / "notebooks" / "01_works.ipynb"
    tool(project, "claims", "measure", "--only", "01", "--seeds", "0 1")
    change(path, "at_least=0.85", "at_least=0.25")
    assert tool(project, "refresh", "--only", "01").returncode == 0
    assert "**bar set after the run: now ≥ 0.25**" in page_of(project)
    assert "Older" not in page_of(project)
    tool(project, "claims", "measure", "--only", "01", "--seeds", "0")
    assert record_of(project, "01_works")["seeds"] == [0]
    assert "| one | ≥ 0.25 | 1 | 1 | 1 | 1 of 1 |  |" in page_of(project)


def change(path, old, new):
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


def test_several_workers_record_what_one_records(project):
    shutil.copy(project / "notebooks" / "01_works.ipynb", project / "notebooks" / "03_works.ipynb")
    found = []
    for workers in "12":
        shutil.rmtree(project / "benchmarks", ignore_errors=True)
        tool(project, "claims", "measure", "--only", "works", "--seeds", "0 1", "--workers", workers)
        found.append((record_of(project, "01_works"), record_of(project, "03_works"), page_of(project)))
    assert found[0] == found[1]


def test_a_claim_that_was_not_reached_is_missed(project):
    code = "import os\nfrom helpers import expect\nseed = int(os.environ['TUTORIAL_SEED'])\n"
    first = code + "if seed != 1: expect('sometimes', 1, at_least=0)"
    codes = [first, "expect('one', 1, at_least=0)", "expect('second', 1 / (1 - seed), at_least=-2)"]
    write(project / "notebooks" / "solutions" / "03_stops.ipynb", [], codes)
    result = tool(project, "claims", "measure", "--only", "03", "--seeds", "1 2")
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stdout
    assert "3 claims, 2 missed, 1 runs failed" in result.stdout
    record = record_of(project, "solutions/03_stops")
    assert [claim["claim"] for claim in record["claims"]] == ["sometimes", "one", "second"]
    assert "| second | ≥ -2 | -1 | -1 | -1 | 1 of 2 | missed by seeds 1; no longer claimed |" in page_of(project)


def test_a_claim_made_twice_is_refused(project):
    codes = ["from helpers import expect", "expect('one', 1, at_least=0)", "expect('one', 2, at_least=0)"]
    write(project / "notebooks" / "03_twice.ipynb", [], codes)
    result = tool(project, "claims", "measure", "--only", "03", "--seeds", "0")
    assert result.returncode == 1
    assert "made twice: one" in result.stdout


def test_claims_are_stored_while_seeds_are_left(project):
    look = "stored = Path('../benchmarks/claims/03_looks.json').exists() or os.environ['TUTORIAL_SEED'] == '0'"
    code = f"import os\nfrom pathlib import Path\nfrom helpers import expect\n{look}"
    write(project / "notebooks" / "03_looks.ipynb", [], [code, "expect('stored', stored, at_least=1)"])
    assert tool(project, "claims", "measure", "--only", "03", "--seeds", "0 1").returncode == 0


@pytest.mark.parametrize("workers", ["0", "-1"])
def test_claims_need_at_least_one_worker(project, workers):
    result = tool(project, "claims", "measure", "--workers", workers)
    assert result.returncode == 2
    assert "--workers" in result.stderr


@pytest.mark.parametrize("seeds", ["", "one", "1.5", "-1"])
def test_claims_refuse_bad_seeds(project, seeds):
    result = tool(project, "claims", "measure", "--seeds", seeds)
    assert result.returncode == 2
    assert "--seeds" in result.stderr


def test_an_unknown_notebook_is_refused(project):
    result = tool(project, "run", "--only", "99")
    assert result.returncode == 1
    assert "01_works" in result.stderr


def set_up(tmp_path, **environment):
    return subprocess.run(
        ["sh", str(ROOT / "tools" / "setup.sh"), str(tmp_path / "venv")],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(tmp_path, script):
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@linux_only
def test_setup_names_a_python_outside_the_range(tmp_path):
    python = fake_python(tmp_path, 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    result = set_up(tmp_path, PYTHON=python)
    assert result.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13; found Python 3.9.2" in result.stderr


@linux_only
def test_setup_names_a_missing_venv_package(tmp_path):
    python = fake_python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    result = set_up(tmp_path, PYTHON=python)
    assert result.returncode == 1
    assert "apt install python3-venv" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@linux_only
def test_setup_names_a_missing_network(tmp_path):
    # Nothing listens on the discard port of this machine.
    environment = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    result = set_up(tmp_path, PYTHON=sys.executable, PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", **environment)
    assert result.returncode == 1
    assert "could not be downloaded: check the network connection" in result.stderr
    assert not (tmp_path / "venv" / ".ready").exists()


def test_lint():
    ruff = [sys.executable, "-m", "ruff"]
    for arguments in (["check", "."], ["format", "--check", "."]):
        result = subprocess.run([*ruff, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
