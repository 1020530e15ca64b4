"""What the root conftest.py does for notebooks: strict claims, digits left out, kernels without TCP."""

import os
import subprocess
import sys

import nbformat
import pytest

from conftest import ROOT

TRANSPORT = """
import json
from pathlib import Path
from ipykernel.connect import get_connection_file
print(json.loads(Path(get_connection_file()).read_text())["transport"])
"""


@pytest.fixture
def folder():
    """A folder where pytest finds the root conftest.py, and git finds nothing."""
    (ROOT / "build").mkdir(exist_ok=True)
    path = ROOT / "build" / f"test-{os.getpid()}"
    path.mkdir()
    yield path
    for file in path.rglob("*.ipynb"):
        file.unlink()
    for child in [*path.iterdir(), path]:
        child.rmdir()


def store(path, code, output):
    """Store a notebook of one cell with what it is said to have printed."""
    path.parent.mkdir(exist_ok=True)
    cell = nbformat.v4.new_code_cell(code, execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), path)


def run_pytest(folder, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "TUTORIAL_STRICT"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such sockets")
def test_notebooks_are_compared_without_digits_and_widgets_over_private_sockets(folder):
    store(folder / "works.ipynb", "print('recall', 0.999)", "recall 1.000\n")
    store(folder / "socket.ipynb", TRANSPORT, "ipc\n")
    store(folder / "bar.ipynb", "from tqdm.auto import tqdm\nprint([i for i in tqdm(range(2))])", "[0, 1]\n")
    store(folder / ".ipynb_checkpoints" / "broken.ipynb", "1 / 0", "")
    result = run_pytest(folder)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout
    assert "TCP" not in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_missed_claim_fails(folder, arguments):
    code = "from helpers import expect\nexpect('claim', 0.5, at_least=0.6)"
    store(folder / "misses.ipynb", code, "✗ claim: 0.500 (at least 0.6)\n")
    result = run_pytest(folder, *arguments)
    assert result.returncode == 1
    assert "AssertionError" in result.stdout
    assert "1 failed" in result.stdout


def test_another_label_fails(folder):
    store(folder / "differs.ipynb", "print('recall 0.5')", "precision 0.5\n")
    assert run_pytest(folder).returncode == 1
