"""Minutes of each section, and the timetables of the workshop guide, from the notebooks and the guide itself."""

import re

import nbformat
import reading_time
from execute import ROOT

GUIDE = ROOT / "docs" / "workshop.md"
SECTION = re.compile(r"(?m)^(?=## )")
NUMBERED = re.compile(r"## (?P<number>\d+) · (?P<title>.+)")
OWN_MINUTES = re.compile(r"(?m)^\| (\d+) · [^|]+\|[^|]+\| (\d+) \| (must|optional) \|$")
OPENING = (
    "everybody opens [the copies without answers](#copies-without-answers) and runs *Setup* of 01; "
    "what Predict, ✓ and ✗ mean"
)
CHECK = "`make check` (`python tools/check.py`) on every machine"
NINETY, THREE, DAY = (
    "Ninety minutes: a recipe taken apart",
    "Three hours: a detector and its threshold",
    "A day: the core of the series",
)
# Rows of a timetable: minutes and words, or a lesson and its sections; "must" are those that the guide calls so.
PLANS = {
    NINETY: [
        (5, f"Welcome: {OPENING}"),
        ("01", "1 2 3 4"),
        ("04", "1"),
        ("01", "8"),
        (10, "Questions for the end 1 to 3"),
    ],
    THREE: [
        (10, f"Welcome, {CHECK}; {OPENING}"),
        ("01", "1 2 3 4"),
        ("01", "5"),
        (15, "Break"),
        ("04", "1 2 3"),
        (15, "Exercise 1 of 04, in pairs"),
        ("04", "11"),
        (10, "Questions for the end 1 to 4"),
    ],
    DAY: [
        (10, f"Welcome, {CHECK}; {OPENING}"),
        ("01", "1 2 3 4"),
        (15, "Break"),
        ("02", "must"),
        ("03", "must"),
        (60, "Lunch"),
        ("04", "must"),
        (10, "Break"),
        ("05", "1 2 3 4 7"),
        (10, "Break"),
        ("06", "1 2 4 5 6"),
        (15, "Questions for the end, as many as fit"),
    ],
}
# What stands under a timetable: why it leaves out what is must, or holds what is not.
NOTES = {
    NINETY: "Of 04 only section 1 fits: enough to say what a false-positive rate is a share of. The other must "
    "sections of 04 are left to read at home.",
    THREE: "Section 5 of 01 is optional elsewhere and belongs here: it is where a plain method beats the network. Two "
    "must sections are left to read at home instead: 01, section 8 (the snippet; that of 04 comes at the end), and 04, "
    "section 4 (thresholds by cost). If you would rather teach that section than have an exercise, it takes the same "
    "quarter of an hour.",
    DAY: "The day leaves out section 8 of 01, 6 and 8 of 05 and 8 of 06, which are must in a class on one of these "
    "lessons alone; the exercises are homework. For exercises in class leave 03 out, and take exercise 1 of 01, 04 and "
    "05, a quarter of an hour each. If time runs short, drop sections from the end of a lesson, never its *What goes "
    "wrong*.",
}


def sections(notebook):
    """Return number, title and reading minutes of each numbered section, with its minutes in class."""
    own = {number: int(minutes) for number, minutes, _ in OWN_MINUTES.findall(notebook.cells[0].source)}
    found, cells = [], None
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            if cells is not None:
                cells.append(cell)
            continue
        for text in SECTION.split(cell.source):
            heading = NUMBERED.match(text)
            if heading:
                cells = []
                found.append(heading.groupdict() | {"cells": cells})
            elif text.startswith("## "):
                cells = None
            if cells is not None:
                cells.append(nbformat.v4.new_markdown_cell(text))
    for section in found:
        part = nbformat.v4.new_notebook(cells=section.pop("cells"))
        minutes = reading_time.count_words(part) / reading_time.WORDS_A_MINUTE
        minutes += reading_time.count_lines(part) / reading_time.LINES_A_MINUTE
        minutes += reading_time.MINUTES_A_PREDICT * reading_time.count_predictions(part)
        section["reading"] = max(1, round(minutes))
        # With questions and discussion a class takes twice as long as one reader.
        section["in class"] = own.get(section["number"], max(5, 5 * round(2 * section["reading"] / 5)))
    return found


def anchor(title):
    """Name a heading as GitHub and the site do."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def must(number, guide=None):
    """Return the numbers of the sections that the guide calls must."""
    guide = guide or GUIDE.read_text(encoding="utf-8")
    part = re.search(rf"(?ms)^## {number} · .*?(?=^## |\Z)", guide)
    words = part and re.search(r"\bMust: sections? (.*?)\.(?=\s)", part[0], re.DOTALL)
    if not words:
        raise ValueError(f"{GUIDE.name} has no line 'Must: sections …' for notebook {number}")
    text = re.sub(r"\.\d+", "", words[1])  # 4.2 belongs to 4
    ranges = re.sub(r"(\d+) to (\d+)", lambda m: " ".join(map(str, range(int(m[1]), int(m[2]) + 1))), text)
    return list(dict.fromkeys(re.findall(r"\d+", ranges)))


def link(path, section, to_notebooks):
    goal = anchor(f"{section['number']} · {section['title']}")
    return f"[{section['number']}]({to_notebooks}{path.name}#{goal})"


def minutes_table(lessons, to_notebooks):
    """Return a row for each section of each lesson."""
    rows = []
    for lesson in lessons:
        needed = must(lesson["number"])
        for section in sections(nbformat.read(lesson["path"], as_version=4)):
            where = f"{lesson['number']}, {link(lesson['path'], section, to_notebooks)}"
            kind = "must" if section["number"] in needed else "optional"
            rows.append([where, section["title"], section["reading"], section["in class"], kind])
    return ["section", "what", "minutes to read", "in class", ""], rows


def plan(rows, lessons, to_notebooks):
    """Return the rows of a timetable: the minute at which each begins, its length and what is done."""
    by_number = {lesson["number"]: lesson for lesson in lessons}
    clock, found = 0, []
    for first, what in rows:
        if isinstance(first, int):
            minutes = first
        elif first in by_number:
            lesson = by_number[first]
            wanted = must(first) if what == "must" else what.split()
            chosen = [s for s in sections(nbformat.read(lesson["path"], as_version=4)) if s["number"] in wanted]
            if len(chosen) != len(wanted):
                raise ValueError(f"{lesson['path'].name} does not have all of the sections {', '.join(wanted)}")
            minutes = sum(section["in class"] for section in chosen)
            links = ", ".join(link(lesson["path"], section, to_notebooks) for section in chosen)
            what = f"**{first} · {lesson['title']}**, section{'s' * (len(chosen) > 1)} {links}"
        else:
            continue  # a lesson that is not written yet
        found.append([f"{clock // 60}:{clock % 60:02}", minutes, what])
        clock += minutes
    return found, clock


def plans(lessons, to_notebooks, table):
    parts = []
    for title, rows in PLANS.items():
        found, total = plan(rows, lessons, to_notebooks)
        found.append([f"{total // 60}:{total % 60:02}", "", "End"])
        parts.append(f"### {title}\n\n{table(['at', 'minutes', 'what'], found)}\n{NOTES[title]}\n")
    return "\n".join(parts)
