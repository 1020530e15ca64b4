"""The stored notebooks, as the tests read them."""

import functools

import nbformat
import pytest

from conftest import ROOT

FOLDER = ROOT / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((FOLDER / "solutions").glob("*.ipynb"))

# These still have the form that the series started with: neither the form nor the record of their claims is complete.
OLD_FORM = {
    "02_mnist_convolutional_autoencoder",
    "03_gan_discriminator",
    "04_thresholds",
    "solutions/02_mnist_convolutional_autoencoder",
    "solutions/03_gan_discriminator",
    "solutions/04_thresholds",
}


def name_of(path):
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def has_old_form(path):
    return name_of(path) in OLD_FORM


each_notebook = pytest.mark.parametrize("path", [*LESSONS, *SOLUTIONS], ids=name_of)
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=name_of)
each_new_lesson = pytest.mark.parametrize("path", [path for path in LESSONS if not has_old_form(path)], ids=name_of)
each_old_lesson = pytest.mark.parametrize("path", [path for path in LESSONS if has_old_form(path)], ids=name_of)


@functools.cache
def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
