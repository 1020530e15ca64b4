"""The commands behind make: run, refresh, workshop, claims, set-up and lint."""

import base64
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from conftest import ROOT

linux_only = pytest.mark.skipif(os.name == "nt", reason="make and sh are not there")


@pytest.fixture
def project(tmp_path):
    """A small project with one notebook that works and one that fails."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "notebooks.py", tmp_path / "tools")
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


def tool(project, *arguments):
    return subprocess.run(
        [sys.executable, "tools/notebooks.py", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_names_the_failing_cell_and_makes_pages(project):
    result = tool(project, "run")
    assert result.returncode == 1
    assert "01_works.ipynb … " in result.stdout
    assert "cell 2 ('y = x / 0'): ZeroDivisionError: division by zero" in result.stdout
    index = (project / "build" / "index.html").read_text(encoding="utf-8")
    assert 'href="01_works.html">01 · Works' in index
    assert "failed: cell 2" in index
    assert "✓ one is at least 0.85" in (project / "build" / "01_works.html").read_text(encoding="utf-8")


def test_run_of_a_good_notebook_succeeds(project):
    assert tool(project, "run", "--only", "01").returncode == 0


def test_refresh_twice_stores_the_same_and_keeps_what_fails(project):
    path, bad = project / "notebooks" / "01_works.ipynb", project / "notebooks" / "02_fails.ipynb"
    before = bad.read_bytes()
    assert tool(project, "refresh", "--only", "01").returncode == 0
    first = path.read_bytes()
    assert tool(project, "refresh", "--only", "01").returncode == 0
    assert path.read_bytes() == first
    assert "✓ one is at least" in first.decode()
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


def test_claims_show_the_worst_value_and_what_missed(project):
    result = tool(project, "claims", "--only", "01", "--seeds", "0 1 2")
    assert result.returncode == 1
    report = (project / "build" / "claims.md").read_text(encoding="utf-8")
    assert "| 01_works | one | ≥ 0.85 | 0.8 | 2 | 2 of 3 | 2 |" in report
    assert "| 01_works | rate | ≤ 1 | nan | 2 | 2 of 3 | 2 |" in report
    assert "2 claims, 2 missed, 0 runs failed" in result.stdout
    assert tool(project, "claims", "--only", "01", "--seeds", "0 1").returncode == 0


def test_claims_of_several_workers_are_those_of_one(project):
    shutil.copy(project / "notebooks" / "01_works.ipynb", project / "notebooks" / "03_works.ipynb")
    reports = []
    for workers in "12":
        tool(project, "claims", "--only", "works", "--seeds", "0 1", "--workers", workers)
        reports.append((project / "build" / "claims.md").read_text(encoding="utf-8"))
    assert reports[0] == reports[1]
    assert reports[0].count("2 of 2") == 4


def test_a_claim_that_was_not_reached_is_missed(project):
    code = (
        "import os\nfrom helpers import expect\nseed = int(os.environ['TUTORIAL_SEED'])\nexpect('one', 1, at_least=0)"
    )
    write(project / "notebooks" / "03_stops.ipynb", [], [code, "expect('second', 1 / (1 - seed), at_least=0)"])
    result = tool(project, "claims", "--only", "03", "--seeds", "0 1")
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stdout
    report = (project / "build" / "claims.md").read_text(encoding="utf-8")
    assert "| 03_stops | one | ≥ 0 | 1 | 0 | 2 of 2 | – |" in report
    assert "| 03_stops | second | ≥ 0 | 1 | 0 | 1 of 2 | 1 |" in report


def test_claims_are_stored_while_seeds_are_left(project):
    look = "stored = Path('../build/claims.md').read_text() if os.environ['TUTORIAL_SEED'] == '1' else '1 of 1'"
    code = f"import os\nfrom pathlib import Path\nfrom helpers import expect\n{look}"
    write(
        project / "notebooks" / "03_looks.ipynb", [], [code, "expect('stored', float('1 of 1' in stored), at_least=1)"]
    )
    assert tool(project, "claims", "--only", "03", "--seeds", "0 1").returncode == 0


@pytest.mark.parametrize("workers", ["0", "-1"])
def test_claims_refuse_workers_that_are_none(project, workers):
    result = tool(project, "claims", "--workers", workers)
    assert result.returncode == 2
    assert "--workers" in result.stderr


@pytest.mark.parametrize("seeds", ["", "one", "1.5"])
def test_claims_refuse_seeds_that_are_none(project, seeds):
    result = tool(project, "claims", "--seeds", seeds)
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
