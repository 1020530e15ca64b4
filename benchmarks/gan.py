"""Measure the GAN of notebook 03 over all ten digits: ``python benchmarks/gan.py``; writes benchmarks/gan.md."""

import ast
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "03_gan_discriminator.ipynb"
SHARED = {"seed", "same_noise"}


def definitions(path):
    """Return the names that a notebook imports and defines, so that what is measured is what is shown."""
    names = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or "snippet" in cell.metadata.get("tags", []):
            continue
        kept = [
            node
            for node in ast.parse(cell.source).body
            if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
            or (isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} & SHARED)
        ]
        exec(compile(ast.Module(kept, []), str(path), "exec"), names)
    return names


def main():
    shown = definitions(NOTEBOOK)
    rows = {}
    for digit in range(10):
        split = shown["load_mnist"](digit)
        gan, _, history = shown["train_gan"](split)
        untrained = shown["GAN"](shown["build_generator"](), shown["build_discriminator"]())
        scores = {
            name: shown["feature_distance"](model, split.x_train)(split.x_test)
            for name, model in {"features": gan, "features, untrained": untrained}.items()
        }
        auc = {name: shown["roc_auc_score"](split.y_test, score) for name, score in scores.items()}
        verdict = {"verdict, best epoch": history["verdict"].max(), "verdict, last epoch": history["verdict"].iloc[-1]}
        rows[digit] = verdict | auc
        print(digit, {name: round(float(value), 3) for name, value in rows[digit].items()}, flush=True)
    table = pd.DataFrame(rows).T
    table.loc["mean"] = table.mean()
    lines = [["normal digit", *table.columns], ["---"] * (table.shape[1] + 1)]
    lines += [[digit, *(f"{value:.3f}" for value in row)] for digit, row in table.iterrows()]
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "scikit-learn"))
    text = [
        "# The GAN of notebook 03 over ten digits",
        "",
        f"ROC AUC on the whole test part, one training a digit, seed {shown['seed']}. {date.today()}, Python "
        f"{platform.python_version()}, {packages}, {os.cpu_count()} cores. Written by `python benchmarks/gan.py`.",
        "",
        *(f"| {' | '.join(map(str, line))} |" for line in lines),
    ]
    (ROOT / "benchmarks" / "gan.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
