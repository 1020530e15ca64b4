"""The stored benchmark results: their bars hold, and what the documents say agrees with them."""

import ast
import copy
import re
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from conftest import ROOT
from helpers import load_measurement, load_table

FOLDER = ROOT / "benchmarks"
sys.path.insert(0, str(FOLDER))

import common  # noqa: E402
import gan_network  # noqa: E402
import intervals  # noqa: E402
import page  # noqa: E402
import report  # noqa: E402
import sequences  # noqa: E402
import start  # noqa: E402
import tables  # noqa: E402

A, D = page.recipe("A"), page.recipe("D")


@pytest.fixture
def results():
    found = report.stored()
    assert list(found) == list(common.SECTIONS)
    return found


def test_readme_shows_the_stored_results(results):
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == report.page(results)


def test_every_figure_belongs_to_its_results(results):
    assert sorted(path.stem for path in FOLDER.glob("*.png")) == sorted(report.FIGURES)
    for name in report.FIGURES:
        with Image.open(FOLDER / f"{name}.png") as picture:
            assert picture.text["Results"] == page.fingerprint(results[name]), f"draw {name}.png again: make bench"
            assert picture.width > 500


def test_another_result_has_another_fingerprint(results):
    changed = copy.deepcopy(results["tables"])
    assert page.fingerprint(changed) == page.fingerprint(results["tables"])
    changed["rows"][0]["ROC AUC"] += 1e-5
    assert page.fingerprint(changed) != page.fingerprint(results["tables"])


def test_every_bar_holds(results):
    found = report.bars(results)
    assert len(found) >= 13
    assert [bar.claim for bar in found if not bar.holds] == []


@pytest.mark.parametrize(
    ("section", "spoil", "missed"),
    [
        ("tabular", lambda r: median(r["ratios"], A, 39), f"training: {A} over our autoencoder"),
        (
            "tabular",
            lambda r: shorter(r["seeds"]),
            "average precision lost by our short training, the worst of ten seeds",
        ),
        ("mnist", lambda r: weak(r["rows"], "8"), f"digit 8, ROC AUC: our autoencoder minus {D}"),
        ("mnist", lambda r: median(r["ratios"], D, 7), f"digit 1, training: {D} over our autoencoder"),
        (
            "mnist",
            lambda r: median(r["ratios"], f"{D}, stopped at its best", 19),
            f"digit 1, training: {D}, stopped at its best, over our autoencoder to a ROC AUC of 0.998",
        ),
        ("mnist", lambda r: r["to the goal"].append(0.9979), "digit 1, least ROC AUC of ten seeds, 2 epochs"),
        (
            "gan",
            lambda r: lower(r["rows"], "features, whole"),
            "GAN, ROC AUC of the features, mean of ten digits, the worst seed",
        ),
        (
            "images",
            lambda r: lower(r["rows"], "ROC AUC"),
            "ten digits, mean ROC AUC of the score of notebook 02, the worst seed",
        ),
        ("scoring", lambda r: r["memory"].update({"10000": 600}), "scoring: peak memory beyond the result"),
        (
            "scoring",
            lambda r: median(r["ratios"], "PyOD decision_function", 19),
            "scoring 100,000 rows: PyOD decision_function over ours",
        ),
        (
            "scale",
            lambda r: median(r["a million"], "ratio", 3),
            "a million rows of numbers: Detector.score over reconstruction_error",
        ),
        (
            "start",
            lambda r: r["rows"][1].update(all=1.4 * r["rows"][0]["all"]),
            f"from a clone to the first cell: {start.PIP}, over {start.MAKE}",
        ),
        (
            "scale",
            lambda r: r["rows"][-1].update({"scores that differ": 1}),
            "ten million rows on Dask, one killed: scores that differ from the loop's",
        ),
    ],
)
def test_a_worse_result_misses_its_bar(results, section, spoil, missed):
    worse = copy.deepcopy(results)
    spoil(worse[section])
    assert missed in [bar.claim for bar in report.bars(worse) if not bar.holds]


def median(ratios, name, value):
    """Spoil the median alone: a bar is not held against the luckiest round."""
    ratios[name] |= {"median": value, "low": value, "high": 1000, "runs": 3}


def lower(rows, column):
    """Spoil one seed of several."""
    for row in rows:
        if row["seed"] == 1:
            row[column] -= 0.02


def shorter(rows):
    """Spoil one seed of ten."""
    next(row for row in rows if (row["seed"], row["training"]) == (7, "ours"))["noisy"]["average precision"] -= 0.03


def weak(rows, digit):
    next(row for row in rows if row["name"] == "our autoencoder")["ROC AUC"][digit] = 0.5


def test_one_section_alone_can_be_shown(results):
    for name, result in results.items():
        assert f"## {report.MODULES[name].TITLE}" in report.page({name: result})


def test_sentences_follow_the_values(results):
    """The page names another winner, and another loser, when the numbers say so."""
    text = "\n".join(tables.text(results["tables"]))
    assert re.search(r"autoencoder is first on \d of 6 sets", text)
    turned = copy.deepcopy(results["tables"])
    for row in turned["rows"]:
        if row["detector"] == "autoencoder":
            row |= {"ROC AUC": 1.0, "ROC AUC, clean": 1.0, "average precision": 1.0, "average precision, clean": 1.0}
        else:
            row |= {key: 0.9 * value for key, value in row.items() if key.startswith(("ROC", "average"))}
    text = "\n".join(tables.text(turned))
    assert text.count("autoencoder is first on 6 of 6 sets and takes place 1 of 12 by mean rank (1.0)") == 2
    turned = copy.deepcopy(results["tabular"])
    for row in turned["rows"]:
        row["detection"][0]["noisy"]["average precision"] = 0.9 if row["maker"] == "ours" else 0.1
    assert "Where the baseline wins" not in "\n".join(report.MODULES["tabular"].text(turned))


def test_numbers_stand_on_the_right(results):
    for name, result in results.items():
        for part in report.MODULES[name].text(result):
            if part.startswith("|"):
                head, rule, *body = part.splitlines()
                assert rule.endswith("---:|")
                assert {line.count("|") for line in body} == {head.count("|")}


def test_a_recipe_is_called_by_what_it_is(results):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for letter in "ABCDE":
        assert f"- **{page.recipe(letter)}**" in text
    known = "|".join(re.escape(page.recipe(letter)) for letter in "ABCDE")
    assert not re.search(r"recipe [A-E]\b", re.sub(known, "", text))


def test_compared_programs_run_in_turn():
    calls = []
    rounds, results = common.alternate({name: lambda name=name: calls.append(name) or name for name in "ab"}, rounds=3)
    assert calls == list("ababab")
    assert results == {"a": "a", "b": "b"}
    assert [sorted(times) for times in rounds] == [["a", "b"]] * 3


def test_a_ratio_is_the_median_of_the_rounds():
    rounds = [{"slow": 2.0, "fast": 1.0}, {"slow": 90.0, "fast": 1.0}, {"slow": 6.0, "fast": 2.0}]
    assert common.ratio(rounds, "slow", "fast") == {"median": 3.0, "low": 2.0, "high": 90.0, "runs": 3}
    assert page.span(common.ratio(rounds, "slow", "fast")) == "3 (2 to 90)"
    assert page.span(common.ratio(rounds[:1], "slow", "fast")) == "2"


ONE_ROW_FOR_EACH = {
    "tables": ["set", "detector", "split", "contamination"],
    "images": ["digit", "seed", "part", "network", "method", "blur", "exponent", "code weight"],
    "highdim": ["digit", "seed", "method"],
    "gan": ["digit", "seed", "epoch"],
    "density": ["digit", "seed", "against", "score"],
    "sequences": ["series", "seed", "method", "task", "kind"],
    "tails": ["shape", "n", "expected"],
    "intervals": ["scores", "measure", "anomalies", "normal", "interval", "true value", "width"],
    "scale": ["program"],
    "transactions": ["draw", "detector", "encoding", "training"],
    "selection": ["set", "draw", "training", "detector", "bottleneck", "hidden", "labels"],
}


def test_every_measurement_for_lessons_is_tested():
    assert set(ONE_ROW_FOR_EACH) == {name for name in common.SECTIONS if hasattr(report.MODULES[name], "for_lessons")}


@pytest.mark.parametrize(("name", "keys"), ONE_ROW_FOR_EACH.items())
def test_the_lessons_read_what_was_measured(results, name, keys):
    frame = load_measurement(name)
    pd.testing.assert_frame_equal(frame, pd.DataFrame(report.MODULES[name].for_lessons(results[name])[1]))
    assert frame.attrs["date"] == results[name]["machine"]["date"]
    assert frame.attrs["versions"] == results[name]["machine"]["versions"]
    assert not frame.duplicated(keys).any()


def test_test_sets_are_drawn_by_gaps_as_row_by_row(rng):
    """Rows drawn again, counted by the gaps between anomalies, measure what scikit-learn measures on the rows."""
    anomalies, normal = np.sort(rng.normal(1, 1, size=12))[::-1], rng.normal(size=80)
    above = intervals.false_above(normal, anomalies)
    times, false = intervals.draw(above, 20, rng)
    ones = np.ones((1, 12), dtype=int)
    for count, over in zip(np.vstack([ones, times]), np.vstack([above[:-1], false]), strict=True):
        gaps = np.diff(over, prepend=0, append=80)
        between = [anomalies[0] + 1, *(anomalies[1:] + anomalies[:-1]) / 2, anomalies[-1] - 1]
        y = np.repeat([1, 0], [count.sum(), gaps.sum()])
        scores = np.concatenate([np.repeat(anomalies, count), np.repeat(between, gaps)])
        assert intervals.average_precision(count, over) == pytest.approx(average_precision_score(y, scores))
        assert intervals.roc_auc(count, over, 80) == pytest.approx(roc_auc_score(y, scores))


def test_the_true_values_are_those_of_many_rows(rng):
    truth = intervals.endless(2.0, 0.25, base_rate=0.2)
    y = np.repeat([0, 1], [400_000, 100_000])
    scores = rng.normal(size=len(y)) + 2 * y * (rng.random(len(y)) > 0.25)
    assert truth["ROC AUC"] == pytest.approx(roc_auc_score(y, scores), abs=0.005)
    assert truth["average precision"] == pytest.approx(average_precision_score(y, scores), abs=0.005)


def test_hidden_anomalies_have_their_share():
    split = load_table("breastw")
    for share in tables.CONTAMINATION:
        hidden = tables.hidden_anomalies(split, share, 0)
        assert len(hidden) / (len(hidden) + len(split.x_train)) == pytest.approx(share, abs=0.002)
        assert split.y_test[hidden].all()
    assert tables.hidden_anomalies(load_table("satimage-2"), 0.05, 0) is None  # it has 71 anomalies, 181 are needed


@pytest.mark.parametrize("name", [name for name in tables.DETECTORS if "PyOD" not in name])
def test_a_constant_column_breaks_no_detector(monkeypatch, name):
    monkeypatch.setattr(tables, "STEPS", 50)
    z = np.random.default_rng(0).normal(size=(200, 4))
    z[:, 1] = 0.0
    scores = tables.DETECTORS[name](z, 0)(np.vstack([z[:5], np.full((1, 4), 9.0)]))
    assert np.isfinite(scores).all()
    assert scores.argmax() == 5 or name == "Isolation Forest"


def test_the_benchmark_trains_the_gan_of_the_lesson():
    cells = nbformat.read(ROOT / "notebooks" / "03_gan_discriminator.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    lesson, benchmark = ({}, {})
    for found, texts in ((lesson, sources), (benchmark, [(FOLDER / "gan_network.py").read_text(encoding="utf-8")])):
        for text in texts:
            found |= {
                n.name: ast.dump(n) for n in ast.parse(text).body if isinstance(n, ast.FunctionDef | ast.ClassDef)
            }
    for name in ("build_generator", "build_discriminator", "GAN"):
        assert lesson[name] == benchmark[name], name


def test_the_benchmark_turns_the_columns_to_numbers_as_the_lesson_does():
    cells = nbformat.read(ROOT / "notebooks" / "06_your_own_table.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code" and "def to_numbers" in cell.source]
    sources.append((FOLDER / "transactions.py").read_text(encoding="utf-8"))
    lesson, benchmark = (
        [ast.dump(n) for n in ast.parse(text).body if getattr(n, "name", "") == "to_numbers"] for text in sources
    )
    assert lesson == benchmark != []


def test_the_benchmark_draws_the_series_of_the_lesson():
    cells = nbformat.read(ROOT / "notebooks" / "10_time_series.ipynb", as_version=4).cells
    names = {"np": np, "gaussian_filter1d": sequences.gaussian_filter1d}
    for source in (cell.source for cell in cells if cell.cell_type == "code"):
        if "def draw_series" in source or "def wander" in source or "KINDS = {" in source:
            exec(compile(source, "10", "exec"), names)
    assert list(names["KINDS"]) == sequences.KINDS
    events = [(kind, 100 * i + 20) for i, kind in enumerate(sequences.KINDS)]
    lesson, benchmark = (
        draw(600, np.random.default_rng(1), events) for draw in (names["draw_series"], sequences.draw_series)
    )
    assert np.array_equal(lesson, benchmark)


def test_the_gan_learns_a_step():
    gan = gan_network.GAN(gan_network.build_generator(), gan_network.build_discriminator(), 0)
    gan.compile(jit_compile=False)
    weights = [*gan.generator.trainable_weights, *gan.discriminator.trainable_weights]
    before = [weight.numpy().copy() for weight in weights]
    losses = gan.fit(np.zeros((8, 28, 28, 1), np.float32), batch_size=8, verbose=0).history
    assert sorted(losses) == ["discriminator", "generator"]
    assert np.isfinite([value for values in losses.values() for value in values]).all()
    changed = [(weight.numpy() != old).any() for weight, old in zip(weights, before, strict=True)]
    assert sum(changed) > len(changed) / 2


def test_long_sections_are_kept_unless_all_is_asked_for(monkeypatch, tmp_path):
    assert set(common.LONG) < set(common.SECTIONS)
    assert common.to_measure(full=True) == list(common.SECTIONS)
    assert common.to_measure(full=False) == [name for name in common.SECTIONS if name not in common.LONG]
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    assert common.to_measure(full=False) == list(common.SECTIONS)


def test_long_runs_are_measured_once(monkeypatch):
    calls = []
    assert common.timed(lambda: calls.append(1))[0]["runs"] == len(calls) == 3
    monkeypatch.setattr(common, "ONE_RUN_IS_ENOUGH", -1)
    assert common.timed(lambda: calls.append(1))[0]["runs"] == 1
    assert len(calls) == 4


def test_the_stated_run_times_are_the_measured_ones(results):
    measured = {row["name"]: row["seconds"] for row in results["series"]["rows"]}
    lessons = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(measured) == [path.stem for path in lessons]
    for path in lessons:
        first = nbformat.read(path, as_version=4).cells[0].source
        stated = int(re.search(r"run time about (\d+) seconds", first).group(1))
        assert stated == pytest.approx(measured[path.stem], rel=0.25), path.stem
