"""Run the notebooks in place and store clean outputs; a notebook with a problem keeps its old ones."""

import base64
import sys

import claims
import curriculum
import nbformat
from execute import ROOT, arguments, clean, execute_each, find_notebooks


def refresh(only):
    failed = 0
    for path, notebook, problem in execute_each(find_notebooks(only), TUTORIAL_SEED="0"):
        problems = [problem] if problem else clean(notebook)
        if problems:
            failed += 1
            print(f"    not stored: {'; '.join(problems)}")
        else:
            nbformat.write(notebook, path)
            store_readme_figure(notebook, path.stem)
    claims.render()  # it marks what is older than its notebook
    try:
        curriculum.render()
    except ValueError as error:  # a new lesson, say, that the workshop guide does not know yet
        print(f"The tables of {', '.join(curriculum.PAGES)} stay as they were: {error}")
    return 1 if failed else 0


def store_readme_figure(notebook, name):
    """Copy the picture of the cell tagged "readme-figure" to docs/, so that README shows what the notebook shows."""
    for cell in notebook.cells:
        if "readme-figure" in cell.metadata.get("tags", []):
            picture = next(o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            (ROOT / "docs" / f"{name}.png").write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    sys.exit(refresh(arguments(__doc__).parse_args().only))
