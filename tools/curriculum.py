"""What the notebooks say of themselves; ``python tools/curriculum.py`` rewrites the tables of pages that repeat it."""

import re
import sys
from pathlib import Path

import measured
import nbformat
import timetable
from execute import NOTEBOOKS, ROOT

FIRST_CELL = re.compile(
    r"# (?P<number>\d\d) · (?P<title>[^\n]+)\n+(?P<question>[^\n]+)\n+"
    r"\*Reading time (?:about )?(?P<reading>\d+) minutes, run time (?:about )?(?P<running>\d+) seconds"
)
# Between these marks a page holds a table that is made here.
BLOCK = re.compile(
    r"(?P<head><!-- (?P<name>\w+), made by tools/curriculum.py -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)
PAGES = {"README.md": "notebooks/", "notebooks/START_HERE.md": "", "docs/workshop.md": "../notebooks/"}
# Pages that quote measured numbers.
QUOTING = ("docs/which_method.md", "docs/when_it_goes_wrong.md", "docs/workshop.md")
RESULTS = [
    (
        "01",
        "table, average precision by true labels",
        "{tabular: recipe A as .3f}",
        "{01: average precision, true labels as .2f}",
        "{01: average precision of Mahalanobis, true labels as .3f} (Mahalanobis distance)",
    ),
    (
        "02",
        "images, ROC AUC, mean of ten digits",
        "{02: plain error, mean as .3f} (plain error)",
        "{02: mean ROC AUC of the network as .3f}",
        "{images: neighbours; 1; 2 as .3f} (nearest neighbours)",
    ),
    (
        "03",
        "GAN, ROC AUC, mean of thirty trainings",
        "{gan: verdict as .2f} (verdict)",
        "{gan: features, whole as .2f} (features)",
        "{gan: blurred pixels as .2f} (blurred pixels)",
    ),
    (
        "04",
        "threshold, false alarms",
        "{04: mean + 3 sd, where promised = 1 as .0f} times the promise (mean + 3 sd)",
        "{04: 95th validation percentile, delivered, % as .1f} % where 5 % is promised (validation scores)",
        "–",
    ),
    (
        "05",
        "six real tables, mean rank of twelve detectors",
        "–",
        "{tables: autoencoder; rank as .1f}",
        "{tables: kNN; rank as .1f} (kNN)",
    ),
    (
        "06",
        "card transactions, share of the frauds in the highest 1 %",
        "{transactions: recipe A's layers; one-hot; as they come as .2f} (a recipe's layers)",
        "{transactions: network, errors on one scale; one-hot; trimmed as .2f}",
        "{transactions: neighbours; one-hot, standardised; trimmed as .2f} (nearest neighbours)",
    ),
    (
        "07",
        "choosing a network for the digit 8, ROC AUC lost against the best",
        "{07: eights, lost by the smallest loss as .3f} (smallest loss)",
        "{07: 10 labels, lost by the network chosen as .3f} (ten labels)",
        "–",
    ),
    (
        "08",
        "PCA first, average precision by true labels",
        "{08: with 98 % of the variance as .2f} (98 % of the variance)",
        "{08: average precision, all components as .2f} (all components)",
        "{01: average precision of Mahalanobis, true labels as .3f} (Mahalanobis distance)",
    ),
    (
        "09",
        "−log p of images, ROC AUC, mean of ten digits",
        "{density: VAE, bits as .3f} (negative ELBO)",
        "{density: VAE, bits less local as .3f} (likelihood ratio)",
        "{density: PCA, image error as .3f} (image error of PCA)",
    ),
    (
        "10",
        "blood pressure, ROC AUC of the points, mean of five trainings",
        "{sequences: LSTM; reconstruction as .4f} (LSTM autoencoder)",
        "{sequences: dense; reconstruction as .4f} (dense autoencoder)",
        "{sequences: mean change of 9 points; plain as .4f} (mean change of nine points)",
    ),
]


def lessons(folder=NOTEBOOKS):
    """Return number, title, question, minutes and path of each lesson, in order."""
    found = []
    for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")):
        first = nbformat.read(path, as_version=4).cells[0].source
        match = FIRST_CELL.match(first)
        if match is None:
            raise ValueError(f"the first cell of {path.name} does not state title, question, reading and run time")
        fields = match.groupdict()
        found.append(fields | {"path": path, "reading": int(fields["reading"]), "running": int(fields["running"])})
    return found


def table(head, rows):
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in [head, ["---"] * len(head), *rows])


def curriculum(to_notebooks):
    """Return the table of the lessons; `to_notebooks` leads from the page to their folder."""
    rows = [
        [
            lesson["number"],
            f"[{lesson['title']}]({to_notebooks}{lesson['path'].name})",
            lesson["question"],
            f"{lesson['reading']} min",
            f"{lesson['running']} s",
        ]
        for lesson in lessons()
    ]
    return table(["#", "Notebook", "Question that it answers", "Reading", "Running, two cores"], rows)


def results(to_notebooks):
    rows = [
        [f"[{number}]({to_notebooks}{path_of(number).name})", what, *map(measured.quote, cells)]
        for number, what, *cells in RESULTS
    ]
    return table(["", "what is measured", "as found on the web", "network, repaired", "plain method beside it"], rows)


def path_of(number):
    return next(lesson["path"] for lesson in lessons() if lesson["number"] == number)


def minutes(to_notebooks):
    return table(*timetable.minutes_table(lessons(), to_notebooks))


def plans(to_notebooks):
    return timetable.plans(lessons(), to_notebooks, table)


def fill(text, to_notebooks):
    """Return the text of a page with its tables made anew."""
    makers = {maker.__name__: maker for maker in (curriculum, results, minutes, plans)}
    return BLOCK.sub(lambda block: f"{block['head']}\n{makers[block['name']](to_notebooks)}\n{block['tail']}", text)


def render():
    """Rewrite the tables and numbers of the pages that have them."""
    for page, to_notebooks in PAGES.items():
        path = ROOT / page
        if path.exists():
            path.write_text(fill(path.read_text(encoding="utf-8"), to_notebooks), encoding="utf-8")
    for page in QUOTING:
        path = ROOT / page
        if path.exists():
            path.write_text(measured.update(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(render())
