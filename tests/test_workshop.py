"""The workshop guide and the slides say what the notebooks say, and leave nothing out."""

import re

import curriculum
import nbformat
import pytest
import slides
import timetable
from lessons import LESSONS, each_lesson, read, tags

from conftest import ROOT

GUIDE = (ROOT / "docs" / "workshop.md").read_text(encoding="utf-8")
LONGEST = {"Ninety minutes": 90, "Three hours": 180, "A day": 510}


def part(path):
    found = re.search(rf"(?ms)^## {path.name[:2]} · .*?(?=^## |\Z)", GUIDE)
    assert found, f"docs/workshop.md has no part on {path.name}"
    return found[0]


def asked(notebook):
    """Return the number of the section of each Predict; one under a heading without a number has that above it."""
    number, found = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                heading = re.match(r"#{2,3} (\d+(?:\.\d+)?)\b", line)
                number = heading[1] if heading else number
                found += [number] * line.count("**Predict")
    return found


@each_lesson
def test_the_guide_answers_every_predict(path):
    rows = re.findall(r"(?m)^\| ([\d.]+) \| (.+?) \| (.+?) \|$", part(path))
    assert [row[0] for row in rows] == asked(read(path))
    for _, question, answer in rows:
        assert question.endswith("?") or "Rank" in question or "?" in question, question
        assert len(answer.split()) >= 2, question


@each_lesson
def test_each_lesson_has_aims_misconceptions_hints_and_a_way_back(path):
    text = part(path)
    assert "**Aims.**" in text
    misconceptions = re.search(r"(?ms)^\*\*Misconceptions to listen for\*\*\n\n(.*?)\n\n", text)[1].splitlines()
    assert len(misconceptions) >= 4
    for line in misconceptions:
        assert re.match(r"- \*.+?\*.* (Ask|ask)", line), line
        assert "?" in line, line
    hints = re.findall(r"(?m)^\d\. (.*(?:\n   .*)*)$", text[text.index("**Hints to the exercises**") :])
    assert len(hints) == 3
    assert all(hint.count(" · ") == 2 for hint in hints)
    assert all(re.match(r"\*[^*]+\?\* ", hint) for hint in hints), "a line of hints begins with what is asked"
    assert "**If somebody falls behind:**" in text
    assert "**If somebody is done:**" in text
    minutes = next(lesson["reading"] for lesson in curriculum.lessons() if lesson["path"] == path)
    assert f"*{minutes} minutes of reading" in text


@each_lesson
def test_must_sections_exist_and_are_those_of_the_notebook(path):
    notebook = read(path)
    numbers = [section["number"] for section in timetable.sections(notebook)]
    needed = timetable.must(path.name[:2])
    assert needed
    assert set(needed) <= set(numbers)
    own = timetable.OWN_MINUTES.findall(notebook.cells[0].source)
    assert not own or needed == [number for number, _, kind in own if kind == "must"]


@each_lesson
def test_the_minutes_of_the_sections_are_those_of_the_lesson(path):
    notebook = read(path)
    whole = next(lesson["reading"] for lesson in curriculum.lessons() if lesson["path"] == path)
    parts = sum(section["reading"] for section in timetable.sections(notebook))
    assert 0.8 * whole <= parts <= whole + 5


@pytest.mark.parametrize("title", timetable.PLANS)
def test_timetables_fit_their_time(title):
    rows, total = timetable.plan(timetable.PLANS[title], curriculum.lessons(), "")
    allowed = LONGEST[title.split(":")[0]]
    assert 0.8 * allowed <= total <= allowed
    lengths = [minutes for _, minutes, _ in rows]
    assert max(lengths) <= 90
    assert sum(lengths) == total
    stretches = [0]
    for _, minutes, what in rows:
        stretches = [*stretches, 0] if what in ("Break", "Lunch") else [*stretches[:-1], stretches[-1] + minutes]
    assert max(stretches) <= 100


@pytest.mark.parametrize("title", timetable.PLANS)
def test_a_timetable_says_why_it_leaves_out_what_is_must(title):
    taught = {}
    for number, what in timetable.PLANS[title]:
        if isinstance(number, str):
            taught[number] = taught.get(number, "") + " " + what
    for number, what in taught.items():
        left = [] if "must" in what else [one for one in timetable.must(number) if one not in what.split()]
        assert not left or f"of {number}" in timetable.NOTES[title] or f"{number}, section" in timetable.NOTES[title]


def test_a_section_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"01_.*does not have all of the sections 1, 77"):
        timetable.plan([("01", "1 77")], curriculum.lessons(), "")
    with pytest.raises(ValueError, match="no line 'Must"):
        timetable.must("98")


# --- slides


@each_lesson
def test_slides_ask_before_they_answer(path):
    notebook = read(path)
    found = slides.slides_of(notebook)
    kinds = [kind for kind, _ in found]
    assert kinds[0] == "title"
    assert kinds.count("predict") == kinds.count("answer") >= 3
    for place, kind in enumerate(kinds):
        if kind == "predict":
            following = kinds[place + 1 :]
            assert "answer" in following
            assert "predict" not in following[: following.index("answer")]
    shown = "".join(body for _, body in found)
    assert shown.count("<img") == shown.count('alt="') - shown.count('alt=""')
    assert "✓" in shown


@each_lesson
def test_slides_leave_out_what_is_optional(path):
    notebook = read(path)
    core = len(asked(notebook))
    optional, level = 0, False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if re.match(r"#{2,3} ", cell.source):
                level = "optional" in tags(cell)
            optional += level * cell.source.count("**Predict")
    assert [kind for kind, _ in slides.slides_of(notebook)].count("predict") == core - optional


def test_a_deck_is_one_file_that_needs_nothing_else(tmp_path):
    written = slides.write(LESSONS, tmp_path)
    assert [file.stem for file in written] == [path.stem for path in LESSONS]
    for file in written:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|href)=["'](?!data:|https?://|#)""", text)
        assert not re.search(r"""<(?:script|link|img)[^>]+(?:src|href)=["']https?:""", text)
        assert "{{" not in text
        assert len(text) < 2_000_000


def test_long_answers_keep_whole_sentences():
    long = (
        "word " * 80
        + "\n\n- **A number** above 0.1, say. More of it.\n- Nothing.\n- In the **test** part (e) it rises."
    )
    kept = slides.shortened(long).split("\n\n")
    assert kept[1] == "- **A number** above 0.1, say.\n- In the **test** part (e) it rises."


def test_a_short_question_comes_with_what_it_is_about():
    long = "**Predict:** which of the three ways leads there first, and which of them never does?"
    text = f"## 1 · One\n\nFour ways.\n\n**Predict:** rank the four.\n\nOther words.\n\n{long}"
    assert slides.predicts(text) == ["Four ways.\n\n**Predict:** rank the four.", long]
    assert slides.predicts("**Predict:** which?") == ["**Predict:** which?"]


def test_slides_of_a_small_notebook():
    def text(source, *names):
        return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(names)})

    def printed(line):
        return nbformat.v4.new_output("stream", name="stdout", text=line)

    cells = [
        text("# 01 · A\n\nWhy?\n\n**You will learn**\n\n- this\n\n## Setup\n\nImports."),
        text("## 1 · One\n\nWords.\n\n**Predict:** which [way](02_b.ipynb)?"),
        nbformat.v4.new_code_cell("x", outputs=[printed("42 < 43")]),
        text("That way.\n\n## 2 · Two\n\nMore.", "answer"),
        nbformat.v4.new_code_cell("expect", metadata={"tags": ["claims"]}, outputs=[printed("✓ a: 1 (at least 0)\n")]),
        text("## 3 · Three\n\n**Predict:** left out?", "optional"),
        text("Yes.", "answer"),
    ]
    found = slides.slides_of(nbformat.v4.new_notebook(cells=cells))
    assert [kind for kind, _ in found] == ["title", "predict", "result", "answer", "claims"]
    assert "Imports" not in found[0][1]
    assert "which way?" in found[1][1]
    assert "42 &lt; 43" in found[2][1]
    assert "1 · One" in found[3][1]
    assert "Two" not in found[3][1]
    assert "<li>✓ a: 1 (at least 0)</li>" in found[4][1]


def test_slides_turn_on_keys_and_load_nothing(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    (file, *_) = slides.write(LESSONS[:1], tmp_path)
    browser.get(file.as_uri())
    page = browser.find_element("css selector", "body")

    def place():
        visible = [s for s in browser.find_elements("css selector", "section") if s.is_displayed()]
        assert len(visible) == 1
        return browser.find_element("id", "place").text, visible[0].get_attribute("class")

    (first, kind), total = place(), len(browser.find_elements("css selector", "section"))
    assert (first, kind) == (f"1 of {total}", "title now")
    page.send_keys(Keys.ARROW_RIGHT)
    assert place() == (f"2 of {total}", "predict now")
    page.send_keys(Keys.END)
    assert place()[0] == f"{total} of {total}"
    page.send_keys(Keys.ARROW_LEFT)
    assert place()[0] == f"{total - 1} of {total}"
    page.send_keys(Keys.HOME)
    assert place()[0] == first
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(name.startswith("data:") for name in loaded)
