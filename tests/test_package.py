"""The package as a whole: what it exports, what it imports, how small it stays."""

import ast
import doctest
import inspect
import os
import re
import subprocess
import sys

import pytest

import helpers
from conftest import ROOT

MODULES = sorted((ROOT / "helpers").glob("*.py"))


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        cwd=ROOT,
    )


def test_import_starts_no_tensorflow():
    code = (
        "import sys, helpers; helpers.load_tabular; helpers.evaluate; print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    assert python(code).stdout == "set()\n"


def test_tensorflow_starts_without_a_word():
    result = python("from helpers import set_seed, dense_autoencoder; set_seed(); dense_autoencoder(3, 2)")
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    ("ending", "shown"),
    [("os.abort()", "needs AVX"), ("raise ImportError('no such library')", "ImportError: no such library")],
)
def test_what_tensorflow_says_is_shown_when_it_does_not_start(tmp_path, ending, shown):
    """Even when it takes the process down, as a library built for another processor does."""
    stand_in = f"import os\nos.write(2, b'this build needs AVX\\n')\n{ending}\n"
    (tmp_path / "tensorflow.py").write_text(stand_in, encoding="utf-8")
    result = python("from helpers import set_seed", PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert result.returncode != 0
    assert "this build needs AVX" in result.stderr
    assert shown in result.stderr


def test_another_backend_is_refused():
    result = python("from helpers import set_seed", KERAS_BACKEND="numpy")
    assert result.returncode == 1
    assert "RuntimeError: Keras runs on the backend 'numpy'" in result.stderr


def test_every_public_name_loads_and_is_listed():
    for name in helpers.__all__:
        assert getattr(helpers, name) is not None
        assert name in dir(helpers)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        helpers.nothing  # noqa: B018


@pytest.mark.parametrize("name", [n for n in helpers.__all__ if callable(getattr(helpers, n))])
def test_public_docstrings_are_complete(name):
    thing = getattr(helpers, name)
    doc = inspect.getdoc(thing)
    assert doc
    sections = re.findall(r"^(\w+)\n-+$", doc, flags=re.MULTILINE)
    if name != "set_style":
        assert "Examples" in sections
    if name == "set_style":
        return
    assert "Raises" in sections
    if not isinstance(thing, type):
        assert "Parameters" in sections or not inspect.signature(thing).parameters
        assert "Returns" in sections or name == "expect"
        for parameter in inspect.signature(thing).parameters:
            assert re.search(rf"^(\w+, )*{parameter}\b.*( :|$)", doc, flags=re.MULTILINE), parameter


@pytest.mark.parametrize("name", [n for n in helpers.__all__ if callable(getattr(helpers, n))])
def test_examples_give_what_they_show(name):
    import matplotlib.pyplot as plt

    with plt.rc_context():
        for example in doctest.DocTestFinder(recurse=False).find(getattr(helpers, name), name, globs={}):
            runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
            report = []
            runner.run(example, out=report.append)
            assert runner.failures == 0, "".join(report)
    plt.close("all")


def code_lines(path):
    """Count lines that are neither blank nor part of a docstring."""
    source = path.read_text(encoding="utf-8")
    in_docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            in_docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(bool(line.strip()) for i, line in enumerate(source.splitlines(), 1) if i not in in_docstrings)


def test_the_package_stays_small():
    counts = {path.name: code_lines(path) for path in MODULES}
    assert max(counts.values()) <= 200
    assert sum(counts.values()) <= 1775


def test_tensorflow_is_imported_in_one_place_only():
    for path in MODULES:
        if path.name != "_tensorflow.py":
            assert not re.search(
                r"^\s*(import|from) (tensorflow|keras)\b", path.read_text(encoding="utf-8"), re.MULTILINE
            )
