"""The stored notebooks, as the tests read them."""

import functools

import nbformat
import pytest

from conftest import ROOT

FOLDER = ROOT / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((FOLDER / "solutions").glob("*.ipynb"))


def name_of(path):
    return path.relative_to(FOLDER).with_suffix("").as_posix()


each_notebook = pytest.mark.parametrize("path", [*LESSONS, *SOLUTIONS], ids=name_of)
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=name_of)


@functools.cache
def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
