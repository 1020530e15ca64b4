"""README.md and its figures, put together from the sections: each writes its own part from what it has measured."""

import json
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns
from common import LONG, RESULTS, SECTIONS, store_for_lessons
from page import RECIPES, fingerprint, listing, origin, recipe, table

HERE = Path(__file__).parent
MODULES = {name: import_module(name) for name in SECTIONS}
FIGURES = [name for name, module in MODULES.items() if hasattr(module, "figure")]


def stored():
    """Return what the sections have measured."""
    paths = {name: RESULTS / f"{name}.json" for name in SECTIONS}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def write():
    """Draw the figures and write README.md; return the claims whose bars are missed."""
    results = stored()
    sns.set_theme(style="whitegrid", palette="colorblind")
    for name, result in results.items():
        module = MODULES[name]
        if name in FIGURES:
            figure = module.figure(result)
            figure.savefig(HERE / f"{name}.png", dpi=100, metadata={"Software": None, "Results": fingerprint(result)})
            plt.close(figure)
        if hasattr(module, "for_lessons"):
            about, rows = module.for_lessons(result)
            store_for_lessons(name, about, result["machine"], rows)
    (HERE / "README.md").write_text(page(results), encoding="utf-8")
    return [bar.claim for bar in bars(results) if not bar.holds]


def bars(results):
    """Return what must hold, of all sections."""
    return [bar for name, result in results.items() for bar in MODULES[name].bars(result)]


def page(results):
    """Return the text of README.md."""
    minutes = sum(result["minutes"] for result in results.values())
    parts = [
        "# Benchmarks",
        "Written by `make bench`; `make bench ONLY=tabular` runs one section and keeps the others' results. "
        f"Sections that take half an hour or download packages ({listing([MODULES[name].TITLE for name in LONG])}) are "
        "measured when they are named or with `FULL=1`, and kept otherwise. "
        f"What is shown took {minutes:.0f} minutes. Times are the median of three "
        "runs with their range, or one run for what takes over 30 s; over several digits, the median and the range of "
        "the digits. A ratio compares programs of one section that ran in turn on one machine, for several rounds: "
        "median of the rounds, with their range, or the single ratio where each ran once. A bar is held against the "
        "median. What every claim of the notebooks measured over ten seeds stands in [claims.md](claims.md).",
        "## What must hold",
        table([["", "bar", "measured", ""], *(bar.row() for bar in bars(results))]),
        "## The recipes",
        "Recipes from the web; they keep their letters throughout the series. Where a section measures one, it is "
        "trained and scored as published.",
        *(f"- **{recipe(letter)}**: {what}. Source: {source}." for letter, (_, what, source) in RECIPES.items()),
    ]
    for name, result in results.items():
        module = MODULES[name]
        parts += [f'<a id="{name}"></a>\n\n## {module.TITLE}', *module.text(result)]
        if name in FIGURES:
            parts.append(f"![{module.PICTURE}]({name}.png)")
        parts.append(origin(result))
    return "\n\n".join(parts) + "\n"
