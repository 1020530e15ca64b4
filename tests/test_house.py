"""README, start page, check of the installation, JupyterLab's start, and the files for contributors."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request

import build_site
import check
import curriculum
import lab
import measured
import pytest
import yaml
from browsers import shown, wait_for
from lessons import LESSONS, read

from conftest import ROOT
from helpers import load_measurement

README = (ROOT / "README.md").read_text(encoding="utf-8")
START = (ROOT / "notebooks" / "START_HERE.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("page", curriculum.PAGES)
def test_tables_say_what_notebooks_and_records_say(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert curriculum.fill(text, curriculum.PAGES[page]) == text, f"run: python tools/curriculum.py (for {page})"
    assert "made by tools/curriculum.py" in text


@pytest.mark.parametrize("page", curriculum.QUOTING)
def test_quoted_numbers_are_what_was_measured(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert len(measured.SOURCED.findall(text)) >= 5
    notes = curriculum.BLOCK.sub("", text).replace(build_site.SLIDES, "")
    assert notes.count("<!-- ") == len(measured.SOURCED.findall(text))
    assert measured.update(text) == text, f"run: python tools/curriculum.py (for {page})"


def test_every_lesson_is_listed_with_its_question_and_minutes():
    found = curriculum.lessons()
    assert [lesson["path"].name for lesson in found] == [path.name for path in LESSONS]
    for lesson, path in zip(found, LESSONS, strict=True):
        assert lesson["question"] == read(path).cells[0].source.split("\n\n")[1]
        assert f"| {lesson['reading']} min | {lesson['running']} s |" in START


def test_a_lesson_that_does_not_state_its_minutes_is_named(tmp_path):
    import nbformat

    cell = nbformat.v4.new_markdown_cell("# 01 · Title\n\nQuestion?\n\n*Reading time long.*")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "01_x.ipynb")
    with pytest.raises(ValueError, match=r"01_x\.ipynb does not state"):
        curriculum.lessons(tmp_path)


def test_readme_fits_two_screens():
    assert len(README.splitlines()) <= 125


def test_numbers_are_quoted_from_records_and_benchmarks():
    assert measured.quote("{01: average precision, true labels as .1f}, {tables: kNN; won as .0f}") == "1.0, 4"
    note = "<!-- 01: average precision, labels as given -->, 30 %<!-- tails: 0.5 as .0% -->"
    assert measured.update(f"9{note}") == f"0.51{note}".replace("30 %", "24 %")
    assert measured.update(f"9{note}", keep=False) == "0.51, 24 %"
    rows = load_measurement("transactions").set_index(["detector", "training"]).loc[("network", "trimmed")]
    quoted = measured.quote("{transactions: network; one-hot; trimmed; recall; max as .2f}")
    assert quoted == f"{rows['recall'].max():.2f}"
    assert measured.value("gan: verdict") == pytest.approx(0.612, abs=0.001)
    for name, message in [
        ("01: no such claim", "01 has no claim"),
        ("99: a claim", "0 records"),
        ("weather: today", "starts with neither"),
        ("images: network; 7; 7", "nothing was measured"),
    ]:
        with pytest.raises(ValueError, match=message):
            measured.value(name)


# --- check


@pytest.fixture
def report():
    return check.Report()


def test_check_can_be_read_by_an_old_python():
    source = (ROOT / "tools" / "check.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 7))
    top = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name.split(".")[0] for node in top for alias in node.names} | {
        node.module for node in top if isinstance(node, ast.ImportFrom)
    }
    assert names - {"Path"} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(("version", "good"), [((3, 10, 1), False), ((3, 11, 7), True), ((3, 14, 0), False)])
def test_check_names_a_python_outside_the_range(report, capsys, version, good):
    assert check.check_python(report, version) == good
    assert report.failed == (not good)
    assert f"Python {'.'.join(map(str, version))}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("free", "total", "sign", "failed"), [(8, 16, "✓", 0), (1, 16, "!", 0), (1, 2, "✗", 1), (None, None, "!", 0)]
)
def test_check_weighs_the_memory(report, capsys, free, total, sign, failed):
    check.check_memory(report, free, total)
    assert capsys.readouterr().out.startswith(sign)
    assert report.failed == failed


def test_memory_asked_for_is_what_the_lessons_took():
    rows = json.loads((ROOT / "benchmarks" / "results" / "series.json").read_text(encoding="utf-8"))["rows"]
    most = max(row["memory"] for row in rows if row.get("memory")) / 1000
    assert most < check.MEMORY_NEEDED < 2 * most


def test_check_weighs_the_disk(report, capsys):
    check.check_disk(report, 2, installed=True)
    assert report.failed == 0
    check.check_disk(report, 2, installed=False)
    assert report.failed == 1
    assert "4 GB are needed to install" in capsys.readouterr().out


def test_check_names_missing_and_other_packages():
    lines = ["# a comment", "numpy==2.4.6", "keras==3.15.1", "absent==1.0", "elsewhere==1.0 ; sys_platform == 'none'"]
    there = {"numpy": "2.4.6", "keras": "3.14.0"}
    missing, other = check.compare_packages(lines, there.get)
    assert missing == ["absent"]
    assert other == ["keras 3.14.0 (stored outputs: 3.15.1)"]


def test_check_points_to_the_environment_that_is_there(tmp_path):
    assert "requirements.txt" in check.install_hint(tmp_path)
    python = tmp_path / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir(parents=True)
    python.touch()
    assert "this is another Python. Run: .venv" in check.install_hint(tmp_path)


def test_check_says_why_a_training_fails(report, capsys, monkeypatch):
    monkeypatch.setattr(check, "TRAINING", "import os; os.abort()")
    check.check_training(report)
    monkeypatch.setattr(check, "TRAINING", "print('started', 1.0)\nraise MemoryError('no room')")
    check.check_training(report)
    printed = capsys.readouterr().out
    assert report.failed == 2
    assert "TensorFlow does not start" in printed
    assert "MemoryError: no room" in printed


@pytest.mark.parametrize(
    ("seconds", "quality", "sign"), [(4.0, 0.999, "✓"), (40.0, 0.999, "!"), (4.0, 0.6, "✗"), (4.0, "nan", "✗")]
)
def test_check_judges_the_training(report, capsys, monkeypatch, seconds, quality, sign):
    lines = f"print('started', 2.0)\nprint('trained', {seconds})\nprint('found', '{quality}')"
    monkeypatch.setattr(check, "TRAINING", lines)
    check.check_training(report)
    assert capsys.readouterr().out.splitlines()[1].startswith(sign)


def test_this_machine_passes_its_check():
    """As a reader runs it, training included."""
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "check.py"], capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    for what in ("Python 3", "memory", "disk", "packages", "a kernel answers", "TensorFlow starts", "training"):
        assert re.search(rf"(?m)^[✓!] .*{what}", result.stdout), result.stdout
    assert "Ready. Open the series with" in result.stdout


# --- JupyterLab


def test_lab_opens_a_start_page_where_there_is_one(tmp_path):
    line, environment = lab.command(ROOT / "notebooks", "--no-browser")
    assert "--LabApp.default_url=/lab/tree/START_HERE.md" in line
    assert line[-1] == "--no-browser"
    assert str(ROOT / "tools" / "jupyter") in environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert not any("default_url" in part for part in lab.command(tmp_path)[0])


def test_lab_names_a_missing_folder():
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "lab.py", "nowhere"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "nowhere is not a folder" in result.stderr


@pytest.fixture
def running_lab(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line, environment = lab.command(
        ROOT / "notebooks", "--no-browser", f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token="
    )
    # A reader's own settings and workspaces stay out of it.
    environment |= {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "s"), "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "w")}
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        yield f"http://127.0.0.1:{port}/"
        process.terminate()
        process.wait(20)


def test_lab_shows_its_start_page_and_asks_nothing(running_lab, browser):
    def answers(_):
        try:
            return urllib.request.urlopen(running_lab + "api", timeout=5).status == 200
        except OSError:
            return False

    wait_for(browser, answers, seconds=60)
    browser.get(running_lab)
    page = wait_for(browser, lambda b: shown(b, ".jp-RenderedMarkdown h1"), seconds=60)
    assert "Start here" in page.text
    assert wait_for(browser, lambda b: shown(b, ".jp-RenderedMarkdown table a[href*='01_tabular']"))
    assert "tree/START_HERE.md" in browser.current_url
    time.sleep(3)  # questions pop up late
    assert "news" not in browser.find_element("css selector", "body").text.lower()
    assert not browser.find_elements("css selector", ".Toastify__toast")


# --- files for contributors


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_containers_start_a_python_in_range():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    binder = (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8")
    for text in (container["image"], binder):
        minor = re.search(r"python\D(3)\.(\d+)", text)
        assert check.OLDEST <= (int(minor[1]), int(minor[2])) <= check.NEWEST
    assert container["postCreateCommand"] == "make check"
    settings = ROOT / "tools" / "jupyter" / "labconfig" / "default_setting_overrides.json"
    assert settings.relative_to(ROOT).as_posix() in (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8")
    json.loads(settings.read_text(encoding="utf-8"))


def test_the_report_of_a_failed_claim_asks_for_what_is_needed():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "claim_failed.yml").read_text(encoding="utf-8"))
    needed = {part["id"] for part in form["body"] if part.get("validations", {}).get("required")}
    assert needed == {"notebook", "claims", "check", "commit", "again"}


def test_every_command_of_make_is_explained():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name in re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE):
        assert name == "help" or f"`make {name}" in contributing + README, name
        assert "`make help`" in contributing
    for tool in re.findall(r"tools/\w+\.py", README + START + contributing):
        assert (ROOT / tool).exists(), tool
