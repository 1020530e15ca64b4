"""Work out how long a notebook takes to read."""

import re
import sys

import nbformat
from execute import arguments, find_notebooks, name_of

WORDS_A_MINUTE, LINES_A_MINUTE, MINUTES_A_PREDICT = 200, 15, 2


NOT_PROSE = (
    r"```.*?```",
    r"\*\*You will learn\*\*.*?(?=\n## |\Z)",
    r"\n## Exercises\n.*",
    r"(?m:^#+ [^\n]*$)",
)


def count_words(notebook, prose_only=False):
    """Count the words of the text, without the targets of links, HTML tags and diagrams."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for part in NOT_PROSE if prose_only else ():
        text = re.sub(part, "\n", text, flags=re.DOTALL)
    for markup in (r"```mermaid.*?```", r"\]\([^)]*\)", r"</?[a-z][^>]*>"):
        text = re.sub(markup, " ", text, flags=re.DOTALL)
    return len(re.findall(r"\w[\w'’.,-]*", re.sub(r"\$[^$]+\$", "formula", text)))


def count_lines(notebook):
    """Count the lines of code that stand unfolded."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    visible = [cell for cell in cells if "hide-input" not in cell.metadata.get("tags", [])]
    return sum(bool(line.strip()) for cell in visible for line in cell.source.splitlines())


def count_predictions(notebook):
    return sum(cell.source.count("**Predict") for cell in notebook.cells if cell.cell_type == "markdown")


def minutes(notebook):
    """Return the reading time, rounded to five minutes."""
    reading = count_words(notebook) / WORDS_A_MINUTE + count_lines(notebook) / LINES_A_MINUTE
    return max(5, 5 * round((reading + MINUTES_A_PREDICT * count_predictions(notebook)) / 5))


def main():
    for path in find_notebooks(arguments(__doc__).parse_args().only):
        notebook = nbformat.read(path, as_version=4)
        print(
            f"{name_of(path)}: {minutes(notebook)} minutes ({count_words(notebook):,} words, "
            f"{count_lines(notebook)} visible lines of code, {count_predictions(notebook)} predictions)"
        )


if __name__ == "__main__":
    sys.exit(main())
