"""What every stored notebook must be; nbval runs them."""

import ast
import base64
import json
import re

import nbformat
from lessons import (
    FOLDER,
    LESSONS,
    SOLUTIONS,
    code_cells,
    each_lesson,
    each_notebook,
    prose,
    read,
    tags,
)

import helpers
from conftest import ROOT


def test_there_are_lessons_numbered_from_one():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(1, len(LESSONS) + 1))
    assert LESSONS
    assert [path.name for path in LESSONS] == [path.name for path in SOLUTIONS]
    assert sorted(FOLDER.glob("*.ipynb")) == LESSONS


@each_notebook
def test_stored_outputs_are_complete_and_clean(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert "execution" not in cell.metadata
        assert cell.source.strip()
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            text = json.dumps(output)
            assert not re.search(r'[" (]/(work|root|home|tmp|Users|usr|var)/', text), "a path of some machine"
            assert not re.search(r"\bat 0x[0-9a-f]{6,}", text), "a memory address"
            assert "widget-view" not in text
            assert "Text(" not in text, "what a drawing function returned"
            for kind, picture in output.get("data", {}).items():
                if kind.startswith("image/"):
                    assert len(base64.b64decode(picture)) < 100_000, f"a figure over 100 kB: {cell.source[:60]}"
    assert path.stat().st_size < 1_000_000


@each_notebook
def test_a_stored_expect_line_says_that_the_claim_holds(path):
    for cell in code_cells(read(path)):
        printed = "".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream")
        assert "✗" not in printed
        if re.search(r"^expect\(", cell.source, re.MULTILINE):
            assert "✓" in printed


TAGS = {"nbval-ignore-output", "snippet", "readme-figure", "claims", "hide-input", "answer", "optional"}


@each_notebook
def test_tags_are_known_and_not_comments(path):
    notebook = read(path)
    for cell in notebook.cells:
        assert set(tags(cell)) <= TAGS
        assert not re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)", cell.source)
    assert any("expect(" in cell.source for cell in code_cells(notebook))


@each_notebook
def test_only_public_names_are_imported_from_the_project(path):
    for cell in code_cells(read(path)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("helpers", "tests", "tools"):
                assert node.module == "helpers"
                assert {alias.name for alias in node.names} <= set(helpers.__all__)
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "helpers" for alias in node.names)


@each_notebook
def test_prose_is_plain(path):
    text = prose(read(path))
    found = re.findall(r"\b(simply|just|easily|obviously|trivially|of course)\b", text, re.IGNORECASE)
    assert not found
    for link in re.findall(r"\]\(([^)#:]+\.(?:ipynb|md|png))\)", text):
        assert (path.parent / link).exists(), link


@each_lesson
def test_anatomy_of_a_lesson(path):
    notebook = read(path)
    first = notebook.cells[0].source
    assert re.match(rf"# {path.name[:2]} · \S", first)
    assert re.search(r"Reading time \d+ minutes, run time about \d+ seconds on two cores", first)
    text = prose(notebook)
    headings = re.findall(r"^#+ (.*)$|^\*\*(You will learn)\*\*$", text, re.MULTILINE)
    order = [next(i for i, pair in enumerate(headings) if word in "".join(pair)) for word in ANATOMY]
    assert order == sorted(order)
    assert "**Predict" in text
    assert f"(solutions/{path.name})" in text
    exercises = text[text.index("## Exercises") : text.index("## Going further")]
    assert re.findall(r"^\d\. \*\*(\w+)", exercises, re.MULTILINE) == ["Recall", "Change", "Transfer"]


ANATOMY = ["You will learn", "Setup", "hat goes wrong", "Take it with you", "Summary", "Exercises", "Going further"]


def test_readme_shows_a_figure_of_a_notebook():
    figures = {}
    for path in LESSONS:
        for cell in code_cells(read(path)):
            if "readme-figure" in tags(cell):
                output = next(o for o in cell.outputs if "image/png" in o.get("data", {}))
                figures[f"docs/{path.stem}.png"] = base64.b64decode(output.data["image/png"])
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown == list(figures)
    for file, picture in figures.items():
        assert (ROOT / file).read_bytes() == picture


def test_links_of_the_documents_lead_somewhere():
    for document in [
        path for folder in ("", "docs", "benchmarks", "notebooks") for path in (ROOT / folder).glob("*.md")
    ]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
