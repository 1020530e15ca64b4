"""Every lesson has the form; and each check of the form finds what it is there for."""

import form
import nbformat
import pytest
import reading_time
from lessons import each_lesson, read


@each_lesson
@pytest.mark.parametrize("check", form.CHECKS, ids=lambda check: check.__name__)
def test_a_lesson_has_the_form(path, check):
    assert check(read(path)) == []


FOLDED = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
FIGURE = FOLDED | {"mystnb": {"image": {"alt": "Average precision rises with the size of the bottleneck"}}}
CLAIMS = FOLDED | {"tags": ["claims", "hide-input"]}


def text(source, **metadata):
    return nbformat.v4.new_markdown_cell(source, metadata=metadata)


def code(source, figures=0, **metadata):
    picture = nbformat.v4.new_output("display_data", data={"image/png": ""})
    return nbformat.v4.new_code_cell(source, outputs=[picture] * figures, metadata=metadata)


def lesson(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


GOOD = [
    text("# 01 · A lesson\n\n*Reading time 5 minutes*"),
    text("## Setup\n\nEvery section needs Setup and section 1; what else it needs, it says."),
    code("import numpy as np\nfrom helpers import expect, train\nrng = np.random.default_rng(0)"),
    text("## 1 · Data"),
    code("x = rng.normal(size=9)\ndef mean_of(z):\n    return np.mean(z) + offset\noffset = 0"),
    text("## 2 · Question\n\n**Predict:** is it zero?"),
    code("means = {n: mean_of(x[:n]) for n in (3, 9)}\nfor n, mean in means.items():\n    print(n, mean)"),
    code("ax = np.histogram(list(means))", 1, **FIGURE),
    text("It is.", tags=["answer"]),
    code("expect('mean of three', abs(means[3] - 0.5), at_most=1)\nexpect('count', len(x), at_least=9)", **CLAIMS),
    text("### 2.1 And now\n\n**Predict:** again?\n\n<details><summary>Answer</summary>\n\nYes.\n\n</details>"),
    text("## 3 · Next\n\nRun section 2 first."),
    code("with open('f') as file:\n    print(means, file, [mean for mean in means])"),
    text("## Summary\n\nRun all sections first."),
    code("print(means, x)"),
]


def copy_of_good():
    return lesson(*(nbformat.from_dict(cell) for cell in GOOD))


@pytest.mark.parametrize("check", form.CHECKS, ids=lambda check: check.__name__)
def test_a_good_lesson_passes(check):
    assert check(copy_of_good()) == []


LONG = "\n".join(f"x{i} = {i}" for i in range(20))
SPOILED = [
    ("sections_stand_alone", 1, text("## Setup"), "section 2 uses mean_of, x of another section"),
    ("kinds_of_cells", 7, code("ax = 1", 1, tags=["hide-input"]), "folded either"),
    ("kinds_of_cells", 7, code("ax = 1", 1, jupyter={"source_hidden": True}), "folded either"),
    ("kinds_of_cells", 6, code("expect('claim', 1, at_least=0)"), "outside a claims cell"),
    ("kinds_of_cells", 7, code("means = 1", **FOLDED), "shows no figure"),
    ("kinds_of_cells", 9, code("expect('claim', 1, at_least=0)", tags=["claims"]), "not folded"),
    ("kinds_of_cells", 10, text("More text."), "a heading follows"),
    ("lengths_of_cells", 6, code(LONG), "20 lines"),
    ("lengths_of_cells", 6, code(f"import keras\nnet = keras.Sequential()\n{LONG}\n{LONG}"), "42 lines"),
    ("lengths_of_cells", 6, code(f"x = {'1 + ' * 30}1"), "line 1: 125 characters"),
    ("claims_are_few", 9, code("\n".join(["expect('claim', 1, at_least=0)"] * 9), **CLAIMS), "9 claims"),
    ("claims_compute_nothing", 9, code("y = 2\nexpect('claim', y, at_least=0)", **CLAIMS), "more than expect"),
    (
        "claims_compute_nothing",
        9,
        code("expect('claim', score(x), at_least=0)", **CLAIMS),
        "computes in its claims: score",
    ),
    ("claims_compute_nothing", 9, code("expect('c', max(a for a in x), at_least=0)", **CLAIMS), "GeneratorExp"),
    ("claims_compute_nothing", 9, code("for y in x:\n    expect('c', y, at_least=0)", **CLAIMS), "more than expect"),
    ("figures_fit_nothing", 7, code("PCA(2).fit(x)", 1, **FIGURE), "calls fit"),
    ("figures_fit_nothing", 7, code("train(net, x)", 1, **FIGURE), "calls train"),
    ("figures_are_described", 7, code("ax = 1", 1, **FOLDED), "0 characters of alternative text"),
    ("figures_are_described", 7, code("ax = 1", 2, **FIGURE), "2 figures"),
    ("figures_are_described", 6, code("plot(x)", 1), "0 characters"),
    ("prose_is_short", 8, text("word " * 2300), "words, at most 2200"),
    ("reading_time_is_honest", 0, text("# 01 · A lesson\n\nReading time 25 minutes"), "says 25 minutes, it takes 5"),
    ("reading_time_is_honest", 0, text("# 01 · A lesson"), "no reading time"),
    ("predictions_are_answered", 8, text("It is."), "cell 5 asks"),
    ("predictions_are_answered", 10, text("### 2.1\n\n**Predict:** again?"), "cell 10 asks"),
    ("predictions_are_answered", 14, text("**Predict:** at the end?"), "cell 14 asks"),
    ("sections_stand_alone", 11, text("## 3 · Next\n\nGo on."), "section 3 uses means of another section"),
    ("sections_stand_alone", 13, text("## Summary"), "section Summary uses means of another section"),
    ("sections_stand_alone", 12, code("counts = counts + 1\nprint(means)"), "section 3 uses counts"),
    ("sections_stand_alone", 12, code("def f():\n    return counts"), "section 3 uses counts"),
    ("sections_stand_alone", 12, code("for i in counts:\n    total = i"), "section 3 uses counts"),
    ("sections_stand_alone", 12, code("print([c for c in counts])"), "section 3 uses counts"),
]


@pytest.mark.parametrize(("check", "number", "cell", "message"), SPOILED, ids=[f"{s[0]}-{s[3]}" for s in SPOILED])
def test_a_spoiled_lesson_is_found_out(check, number, cell, message):
    notebook = copy_of_good()
    notebook.cells[number] = cell
    found = getattr(form, check)(notebook)
    assert any(message in fault for fault in found), found


def test_many_claims_and_long_cells_are_found_out():
    claims = [code("\n".join(["expect('claim', 1, at_least=0)"] * 8), **CLAIMS) for _ in range(6)]
    assert form.claims_are_few(lesson(*claims)) == ["48 claims in all, at most 41"]
    assert "median" in form.lengths_of_cells(lesson(code("x = 1\n" * 9), code("x = 1\n" * 9)))[0]


@pytest.mark.parametrize(
    ("sentence", "sections"),
    [
        ("Run section 3 first.", ["3"]),
        ("If you start here, run sections 2 and 4 first.", ["2", "4"]),
        ("Run sections 2 to 4 first.", ["2", "3", "4"]),
        ("This follows section 3.", []),
    ],
)
def test_sections_to_run_first(sentence, sections):
    assert form.to_run_first(f"\n{sentence}\n\nRun section 9 first.", {}) == sections


def test_reading_time_counts_words_visible_lines_and_predictions():
    words = text("**Predict:** " + "word " * 999 + "[link](https://example.org/a/b) <b>bold</b> $a + b$")
    notebook = lesson(words, code("x = 1\n\ny = 2\n" * 15), code("z = 3\n" * 99, **FOLDED))
    assert reading_time.count_words(notebook) == 1003
    assert reading_time.count_lines(notebook) == 30
    assert reading_time.count_predictions(notebook) == 1
    assert reading_time.minutes(notebook) == 10  # 5 + 2 + 2
