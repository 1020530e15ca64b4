"""Write copies without outputs and with folded answers, and slides, to build/workshop, so that people predict first."""

import shutil
import sys

import nbformat
import slides
from execute import BUILD, NOTEBOOKS, arguments, find_notebooks

COPIES = BUILD / "workshop"
START = "START_HERE.md"


def workshop(only):
    for path in find_notebooks(only):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            elif "answer" in cell.metadata.get("tags", []) and "<details>" not in cell.source:
                cell.source = f"<details><summary>Answer</summary>\n\n{cell.source.strip()}\n\n</details>"
        target = COPIES / path.relative_to(NOTEBOOKS)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    if (NOTEBOOKS / START).exists():
        shutil.copy(NOTEBOOKS / START, COPIES / START)
    lessons = [path for path in find_notebooks(only) if path.parent == NOTEBOOKS]
    slides.write(lessons, COPIES / "slides")
    print(f"Copies without outputs, and slides, are in {COPIES}")
    return 0


if __name__ == "__main__":
    sys.exit(workshop(arguments(__doc__).parse_args().only))
