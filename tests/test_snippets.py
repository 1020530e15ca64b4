"""The snippet that closes a lesson: it works on other data, or refuses them in a sentence of its own."""

import ast
import dis
import inspect
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from form import NameCheck
from lessons import LESSONS, code_cells, each_lesson, read, tags

END_OF_DATA = "# --- your data end here ---\n"


def more_rows(original, n, rng):
    """Draw `n` rows like the given ones, none of them twice."""
    rows = original[rng.integers(len(original), size=n)]
    return rows + 0.1 * original.std(axis=0) * rng.normal(size=rows.shape)


def more_of_a_table(original, n, rng):
    """Draw rows of a table of mixed columns, and move their numbers a little."""
    rows = original.iloc[rng.integers(len(original), size=n)].reset_index(drop=True)
    numbers = rows.columns[[kind.kind in "fi" for kind in rows.dtypes]]
    rows[numbers] += 0.1 * original[numbers].std().to_numpy() * rng.normal(size=(n, len(numbers)))
    return rows


def more_of_a_series(original, n, rng):
    """Go on with the same series, in order, and move its points a little."""
    return np.resize(original, n) + 0.02 * original.std() * rng.normal(size=n)


def more_images(original, n, rng):
    return more_rows(original, n, rng).clip(0, 1)


def labels(original, n, rng):
    """Draw labels of the same base rate."""
    return (rng.random(n) < np.mean(original)).astype(float)


# What stands for the data of each snippet, by the names that its first lines state.
OTHER_DATA = {
    "01": {"normal": more_rows, "odd": more_rows},
    "02": {"images": more_images, "odd": more_images},
    "03": {"normal": more_rows, "odd": more_rows},
    "04": {"calibration": more_rows, "scores": more_rows},
    "05": {"rows": more_rows, "labels": labels},
    "06": {"table": more_of_a_table},
    "07": {"normal": more_rows, "odd": more_rows},
    "08": {"normal": more_rows, "odd": more_rows},
    "09": {"normal": more_rows, "odd": more_rows},
    "10": {"normal": more_of_a_series, "series": more_of_a_series},
    "11": {"normal": more_rows, "odd": more_rows},
}


def snippet_of(path):
    sources = [cell.source for cell in code_cells(read(path)) if "snippet" in tags(cell)]
    assert len(sources) == 1
    return sources[0]


def run_script(folder, source):
    """Run a snippet in an empty folder; return the exit status and the lines as they came, with their stream."""
    script = folder / "snippet.py"
    script.write_text(source, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "error::DeprecationWarning:__main__", script.name],
        cwd=folder,
        env=environment | {"MPLBACKEND": "Agg"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    lines = []
    streams = [("out", process.stdout), ("err", process.stderr)]
    readers = [threading.Thread(target=collect, args=(lines, *stream)) for stream in streams]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=300)
    process.kill()
    return process.wait(), lines


def collect(lines, name, stream):
    for line in stream:
        if line.strip():
            lines.append((name, line.rstrip("\n")))


def fault_of(status, lines):
    """Return what is wrong with how a snippet ended, or ''."""
    printed = [line for name, line in lines if name == "out"]
    errors = [line for name, line in lines if name == "err"]
    if status == 0:
        if not printed:
            return "it prints nothing"
        if lines[-1][0] != "out":
            return f"a library has the last word: {errors[-1]}"
        if found := [line for line in printed if re.search(r"\b(nan|inf)\b", line, re.IGNORECASE)]:
            return f"it prints what is no number: {found[0]}"
        return ""
    frames = [re.match(r'  File "([^"]+)", line', line) for line in errors]
    places = [frame[1] for frame in frames if frame]
    if places and not places[-1].endswith("snippet.py"):
        return f"it fails inside a library: {errors[-1]}"
    if places and not re.match(r"(ValueError|SystemExit): ", errors[-1]):
        return f"it fails without saying why: {errors[-1]}"
    return "" if errors and len(errors[-1].split()) >= 4 else "it fails without a sentence"


def with_data(folder, source, data):
    """Put other data in the place of the snippet's own."""
    loads = ["import numpy as np", "import pandas as pd"]
    for name, values in data.items():
        if isinstance(values, pd.DataFrame):
            values.to_pickle(folder / f"{name}.pickle")  # keeps types, kinds of gaps and names
            loads.append(f'{name} = pd.read_pickle("{name}.pickle")')
        else:
            np.save(folder / f"{name}.npy", values)
            loads.append(f'{name} = np.load("{name}.npy")')
    return "\n".join(loads) + "\n" + END_OF_DATA + source.split(END_OF_DATA)[1]


@each_lesson
def test_the_snippet_says_where_the_data_go(path):
    source = snippet_of(path)
    assert "helpers" not in source
    assert source.count(END_OF_DATA) == 1
    head, rest = source.split(END_OF_DATA)
    comment = re.match(r"(#.*\n)+", head)
    assert comment, "a comment says what goes here"
    assert re.search(r"\byour\b", comment[0], re.IGNORECASE)
    names = OTHER_DATA[path.name[:2]]
    for name in names:
        assert re.search(rf"\b{name}\b", comment[0]), f"the comment does not state the name {name}"
    assert names_missing(rest, names) == set(), "what follows the data uses the stated names only"


def names_missing(source, known):
    return NameCheck(known).visit([ast.parse(source)])[1]


@each_lesson
def test_the_snippet_runs_alone(path, tmp_path):
    status, lines = run_script(tmp_path, snippet_of(path))
    assert status == 0, lines[-20:]
    assert fault_of(status, lines) == ""


def looked_up(code):
    """Return the global names that the functions of compiled code look up when they are called."""
    found, run_at_once = set(), ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
    for part in filter(inspect.iscode, code.co_consts):
        if part.co_name not in run_at_once:
            found |= {step.argval for step in dis.get_instructions(part) if step.opname == "LOAD_GLOBAL"}
        found |= looked_up(part)
    return found


@each_lesson
def test_the_snippet_leaves_the_lessons_functions_as_they_were(path):
    """Exercises come after the snippet, and call what the sections before it have defined."""
    lesson = "\n".join(cell.source for cell in code_cells(read(path)) if "snippet" not in tags(cell))
    snippet = ast.walk(ast.parse(snippet_of(path)))
    written = {node.id for node in snippet if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    written |= {node.name for node in ast.walk(ast.parse(snippet_of(path))) if isinstance(node, ast.FunctionDef)}
    assert written & looked_up(compile(lesson, path.name, "exec")) <= {"rng"}


def cases():
    for path in LESSONS:
        names = OTHER_DATA.get(path.name[:2], {})
        dirt = ("nan", "inf", "255") if "images" in names else ("nan", "inf")
        for case in ["larger", "small", *(f"{value} in {name}" for name in names for value in dirt)]:
            yield pytest.param(path, case, id=f"{path.name[:2]}-{case}")


def set_one_value(values, value):
    if isinstance(values, pd.DataFrame):
        values.iloc[7, 0] = value
    else:
        values.flat[7] = value


@pytest.mark.parametrize(("path", "case"), list(cases()))
def test_the_snippet_takes_other_data_or_refuses_them(path, case, tmp_path):
    source, rng, given = snippet_of(path), np.random.default_rng(0), {}
    assert END_OF_DATA in source, "no line closes the data"
    exec(source.split(END_OF_DATA)[0], given)
    data = {}
    for name, make in OTHER_DATA[path.name[:2]].items():
        n = 36 if case == "small" else 10 * len(given[name])
        original = given[name]
        data[name] = make(original if isinstance(original, pd.DataFrame) else np.asarray(original, float), n, rng)
        if case.endswith(f" in {name}"):
            set_one_value(data[name], float(case.split()[0]))
    fault = fault_of(*run_script(tmp_path, with_data(tmp_path, source, data)))
    assert fault == ""


def numbers_only(table):
    return table.drop(columns="kind")


def with_flags(table):
    return table.drop(columns="kind").assign(flag=np.arange(len(table)) % 10 == 0)


def with_a_late_category(table):
    """A category begins when the rows for fitting end, and stands in a tenth of the rows."""
    late = (np.arange(len(table)) % 10 == 0) & (np.arange(len(table)) >= 0.6 * len(table))
    return table.assign(kind=table["kind"].mask(late, "parking"))


def with_rare_categories(table):
    """A small table, in which each twentieth row has a category that it shares with two others at most."""
    small, rare = table.tail(1000), np.arange(1000) % 20 == 0
    return small.assign(kind=small["kind"].mask(rare, [f"kind {i % 17}" for i in range(1000)])).reset_index(drop=True)


def with_gaps_of_several_kinds(table):
    """Gaps as None among the rows for fitting and as NaN later, whole numbers that may be missing, names of no text."""
    kind = table["kind"].astype(object)
    early = np.arange(len(table)) < 0.6 * len(table)
    kind[np.arange(len(table)) % 7 == 0] = np.nan
    kind = kind.mask(kind.isna() & early, None)
    count = pd.Series(np.arange(len(table)) % 5, dtype="Int64").mask(np.arange(len(table)) % 11 == 0)
    return table.assign(kind=kind, count=count).rename(columns={"kind": 2, "amount": 1})


def with_signs(table):
    """A column of both signs, with one value far out in the row that should be seen; its other cells are as usual."""
    balance = np.random.default_rng(1).normal(0, 1000, len(table))
    balance[-1] = 50_000
    return table.assign(balance=balance, amount=table["amount"].clip(upper=50), hour=table["hour"].clip(lower=8))


@pytest.mark.parametrize(
    "change",
    [numbers_only, with_flags, with_a_late_category, with_rare_categories, with_signs, with_gaps_of_several_kinds],
)
def test_the_snippet_for_a_table_still_finds_what_stands_out(change, tmp_path):
    source, given = snippet_of(next(path for path in LESSONS if path.name.startswith("06"))), {}
    exec(source.split(END_OF_DATA)[0], given)
    table = change(given["table"])
    status, lines = run_script(tmp_path, with_data(tmp_path, source, {"table": table}))
    printed = "\n".join(line for name, line in lines if name == "out")
    assert status == 0, lines
    n_alarms, by_chance = map(int, re.search(r"(\d+) alarms \(by chance up to (\d+)\)", printed).groups())
    assert 1 <= n_alarms <= by_chance
    n_unknown = int(re.search(r"(\d+) without a verdict", printed)[1])
    assert (n_unknown > 0) == (change is with_a_late_category)
    assert str(len(table) - 1) in printed.splitlines()[-1]  # the planted row


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("print('recall 0.5')", ""),
        ("import sys; print('log', file=sys.stderr); import time; time.sleep(0.3); print('recall 0.5')", ""),
        ("raise SystemExit('Fill the missing values first.')", ""),
        ("raise ValueError('normal holds 1 missing value: fill it first')", ""),
        ("pass", "it prints nothing"),
        ("print('recall nan')", "it prints what is no number"),
        ("import sys, time; print('recall'); time.sleep(0.3); print('log', file=sys.stderr)", "has the last word"),
        ("import json; json.loads('')", "inside a library"),
        ("1 / 0", "without saying why"),
        ("raise SystemExit(3)", "without a sentence"),
    ],
)
def test_how_a_snippet_may_end(code, fault, tmp_path):
    found = fault_of(*run_script(tmp_path, code))
    assert found == "" if not fault else fault in found
