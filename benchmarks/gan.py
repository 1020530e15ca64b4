"""The GAN of notebook 03 over ten digits, with the code that the notebook shows."""

import ast
import os

import nbformat
from common import ROOT, say, section

NOTEBOOK = ROOT / "notebooks" / "03_gan_discriminator.ipynb"
SHARED = {"seed", "same_noise"}
MORE_SEEDS = (1, 2)


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


def one_digit(shown, digit):
    split = shown["load_mnist"](digit)
    gan, _, history = shown["train_gan"](split)
    untrained = shown["GAN"](shown["build_generator"](), shown["build_discriminator"]())
    found = {
        "verdict, best epoch": history["verdict"].max(),
        "verdict, last epoch": history["verdict"].iloc[-1],
    }
    for name, model in {"features": gan, "features, untrained": untrained}.items():
        score = shown["feature_distance"](model, split.x_train)(split.x_test)
        found[name] = shown["roc_auc_score"](split.y_test, score)
    found = {name: float(value) for name, value in found.items()}
    say(f"digit {digit}: {gan.seconds:.0f} s,", ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    return {"digit": digit, "seconds": gan.seconds, "ROC AUC": found}


def measure(full):
    os.environ["TUTORIAL_SEED"] = "0"
    shown = definitions(NOTEBOOK)
    rows = [one_digit(shown, digit) | {"seed": 0} for digit in range(10)]
    for seed in MORE_SEEDS:
        shown["set_seed"](seed)
        rows += [one_digit(shown, digit) | {"seed": seed} for digit in ((1, 7) if full else (1,))]
    return {"rows": rows}


if __name__ == "__main__":
    section(__file__, measure)
