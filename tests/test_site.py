"""The site: built from the stored notebooks, checked page by page, and used in a real browser."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import claim_pictures
import nbformat
import pytest
from browsers import set_width, shown, wait_for

from conftest import ROOT

pytest.importorskip("myst_nb", reason="the site's packages are not installed")
BeautifulSoup = pytest.importorskip("bs4", reason="the site's packages are not installed").BeautifulSoup

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
OTHER_HOST = re.compile(r"(https?:)?//")
STYLE_FROM_OTHER_HOST = re.compile(r"""(@import\s+|url\()['"]?(https?:)?//""")
SCRIPT_HOSTS = re.compile(r"jsdelivr|cdnjs|unpkg|googleapis|gstatic|mathjax@")


def run_build(root, output, *arguments):
    return subprocess.run(
        [sys.executable, root / "tools" / "build_site.py", f"--output={output}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def write_notebook(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"0": {"model_name": "ProgressStyleModel", "model_module": "@jupyter-widgets/controls", "state": {}}}
    widgets = {"version_major": 2, "version_minor": 0, "state": state}  # a run leaves this behind
    metadata = {
        "language_info": {"name": "python"},
        "widgets": {"application/vnd.jupyter.widget-state+json": widgets},
    }
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells), metadata=metadata), path)


def text_cell(*lines):
    return nbformat.v4.new_markdown_cell("\n".join(lines))


def figure_cell():
    """Return a folded cell whose picture has alternative text."""
    picture = nbformat.v4.new_output("display_data", {"image/png": DOT})
    return nbformat.v4.new_code_cell(
        "draw()",
        outputs=[picture],
        metadata={
            "tags": ["hide-input"],
            "mystnb": {"code_prompt_show": "Code of the figure", "image": {"alt": "One green dot"}},
        },
    )


def widget_cell():
    bar = {"application/vnd.jupyter.widget-view+json": {"model_id": "0"}, "text/plain": "a bar of progress"}
    return nbformat.v4.new_code_cell("tqdm()", outputs=[nbformat.v4.new_output("display_data", bar)])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the real site, with one more notebook in a folder that lacks all others."""
    folder = tmp_path_factory.mktemp("site")
    notebooks = folder / "notebooks"
    write_notebook(
        notebooks / "99_form.ipynb",
        text_cell("# 99 · Form", "", "Back to [the front page](../README.md), and [down](#end)."),
        text_cell("The error is $e = \\frac{1}{n}\\sum_i (x_i - \\hat{x}_i)^2$, and", "", "$$a^2 + b^2 = c^2$$"),
        figure_cell(),
        widget_cell(),
        text_cell("| a | " + " | ".join(["wide column"] * 12) + " |", "|---" * 13 + "|", "| 1 " * 13 + "|"),
        text_cell(
            '<a id="end"></a>', "", "## The end", "", "<details><summary>Answer</summary>", "", "42", "", "</details>"
        ),
    )
    write_notebook(notebooks / ".ipynb_checkpoints" / "99_form-checkpoint.ipynb", text_cell("# A copy"))
    result = run_build(ROOT, folder / "out", f"--notebooks={notebooks}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "warning" not in (result.stdout + result.stderr).lower()
    assert "index.html" in result.stdout
    return folder / "out"


@pytest.fixture(scope="module")
def pages(site):
    """Return every page, parsed, by its path."""
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in site.rglob("*.html")
    }


def test_every_notebook_and_page_is_there_and_nothing_else(pages):
    stored = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks" / "solutions").glob("*.ipynb")]
    stored += [ROOT / "benchmarks" / "README.md", ROOT / "benchmarks" / "claims.md"]
    stored += [*(ROOT / "docs").glob("*.md"), ROOT / "notebooks" / "START_HERE.md"]
    expected = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in stored}
    expected |= {"index.html", "search.html", "notebooks/99_form.html", "notebooks/solutions/index.html"}
    assert expected <= set(pages)
    assert not any("checkpoint" in name or "webpack" in name for name in pages)


def test_sidebar_names_the_lessons(pages):
    entries = [link.get_text(strip=True) for link in pages["index.html"].select("nav.bd-links a.reference.internal")]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        title = nbformat.read(path, 4).cells[0].source.splitlines()[0].removeprefix("# ")
        assert title in entries


def test_nothing_is_loaded_from_another_host(site, pages):
    for name, page in pages.items():
        for tag in page.select("script[src], img[src], iframe[src], link[href]"):
            assert not OTHER_HOST.match(tag.get("src") or tag.get("href")), f"{name}: {tag}"
        assert not STYLE_FROM_OTHER_HOST.search(str(page.select("style, [style]"))), name
        assert not SCRIPT_HOSTS.search(str(page.select("script"))), name
    for path in site.rglob("*.css"):
        assert not STYLE_FROM_OTHER_HOST.search(path.read_text(encoding="utf-8")), path
    for path in site.rglob("*.js"):
        assert not SCRIPT_HOSTS.search(path.read_text(encoding="utf-8")), path


def test_every_link_leads_somewhere(site, pages):
    anchors = {name: {tag["id"] for tag in page.select("[id]")} for name, page in pages.items()}
    broken = []
    for name, page in pages.items():
        for tag in page.select("a[href], link[href], script[src], img[src]"):
            address = urlsplit(tag.get("href") or tag.get("src"))
            if address.scheme or address.netloc:
                continue
            file = os.path.normpath((site / name).parent / unquote(address.path)) if address.path else site / name
            goal = os.path.relpath(file, site).replace(os.sep, "/")
            there = (site / goal).is_file()
            if there and goal in anchors and address.fragment and tag.name == "a":
                there = unquote(address.fragment) in anchors[goal]
            if not there:
                broken.append(f"{name}: {address.geturl()}")
    assert not broken


def test_pictures_carry_the_text_that_the_notebooks_give(site, pages):
    assert pages["notebooks/99_form.html"].select_one("article img")["alt"] == "One green dot"
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts:
            continue
        given = [c.metadata.get("mystnb", {}).get("image", {}).get("alt") for c in nbformat.read(path, 4).cells]
        page = pages[path.relative_to(ROOT).with_suffix(".html").as_posix()]
        shown = {picture.get("alt") for picture in page.select("article img")}
        assert {text for text in given if text} <= shown, path.name
    assert pages["benchmarks/README.html"].select("article img")


def test_code_is_folded_and_formulas_are_drawn_by_the_browser(pages):
    page = pages["notebooks/99_form.html"]
    folded = page.select_one("details.hide")
    assert "Code of the figure" in folded.summary.get_text()
    assert "draw()" in folded.get_text()
    assert len(page.select("article math")) == 2
    assert page.select_one("article math mfrac")
    assert "a bar of progress" in page.article.get_text()


def records():
    for path in sorted((ROOT / "benchmarks" / "claims").rglob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def test_every_claim_has_its_bar_its_picture_and_its_place(pages):
    page = pages["benchmarks/claims.html"]
    rows = page.select("table:has(svg.claim) tbody tr")
    assert len(rows) == sum(len(record["claims"]) for record in records())
    for row in rows:
        section, claim, bar, picture, _ = row.find_all("td")
        goal = urlsplit(section.select_one("a[href]")["href"])
        name = os.path.normpath(f"benchmarks/{goal.path}")
        following = pages[name].find(id=goal.fragment).find_next(class_="cell_output").get_text()
        text = re.split(" · |’|“|”", claim.get_text())[0]
        assert text in following, f"{name}: {text}"
        assert "median" in picture.svg["aria-label"]
        assert bar.get_text() in picture.svg["aria-label"]
        assert picture.svg.select("circle")


def test_lessons_lead_back_to_their_claims(pages):
    known = {tag["id"] for tag in pages["benchmarks/claims.html"].select("[id]")}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not (ROOT / "benchmarks" / "claims" / f"{path.stem}.json").exists():
            continue  # not measured yet: test_claim_records asks for it
        cells = [cell for cell in nbformat.read(path, 4).cells if "claims" in cell.metadata.get("tags", [])]
        page = pages[path.relative_to(ROOT).with_suffix(".html").as_posix()]
        links = [link["href"] for link in page.select("article a[href*='benchmarks/claims.html#claims-']")]
        assert len(links) == len(cells)
        assert {urlsplit(link).fragment for link in links} <= known


def test_links_to_claims_say_where_their_values_come_from(pages):
    said = {
        link.get_text()
        for name, page in pages.items()
        if name.startswith("notebooks/0")
        for link in page.select("article a[href*='benchmarks/claims.html#claims-']")
    }
    assert said == {"The claims of this section under ten seeds", "The claims of this section from stored measurements"}


def test_a_picture_shows_where_its_claim_holds():
    svg = BeautifulSoup(claim_pictures.picture([0.9, 0.95, 1.0], {"at_least": 0.8}), "html.parser").svg
    assert svg["aria-label"] == "3 seeds from 0.9 to 1, median 0.95; bar ≥ 0.8"
    bar, median = float(svg.select_one("line.bar")["x1"]), float(svg.select_one("line.median")["x1"])
    assert bar < min(float(dot["cx"]) for dot in svg.select("circle")) < median
    assert float(svg.rect["x"]) == bar
    both = BeautifulSoup(claim_pictures.picture([0.0], {"at_least": -1, "at_most": 1}), "html.parser").svg
    assert len(both.select("line.bar")) == 2
    alone = BeautifulSoup(claim_pictures.picture([2.0], {"at_least": 2.0}), "html.parser").svg
    assert 0 < float(alone.select_one("line.median")["x1"]) < claim_pictures.WIDTH


def test_quoted_numbers_stand_without_their_sources(pages):
    for name in ("docs/which_method.html", "docs/when_it_goes_wrong.html"):
        assert "<!-- 0" not in str(pages[name].article)
        assert "tables: kNN" not in str(pages[name].article)
    assert "1.8" in pages["docs/which_method.html"].article.get_text()


def test_each_branch_names_what_it_was_measured_on(pages):
    """Every branch leads to a section of a lesson or of the benchmarks, or says that it was not measured."""
    table, *_ = pages["docs/which_method.html"].select("article table")
    for row in table.select("tbody tr"):
        branch = pages["docs/which_method.html"].find(id=row.a["href"].removeprefix("#"))
        while branch.name != "section":
            branch = branch.parent
        evidence = row.find_all("td")[-1].get_text()
        assert re.search(r"\b(one|two|five|six|ten)\b", evidence) or "not measured" in evidence
        assert branch.select("a[href*='notebooks/'][href*='#'], a[href*='benchmarks/'][href*='#']"), row.a.get_text()


@pytest.fixture
def project(tmp_path):
    """Lay out a small project with the site's tool and settings and one notebook."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs" / "_static", tmp_path / "docs" / "_static")
    for name in ("conf.py", "scorer.js"):
        shutil.copy(ROOT / "docs" / name, tmp_path / "docs")
    (tmp_path / "README.md").write_text(
        "# Front\n\n```mermaid\nflowchart LR\n```\n\n[one](notebooks/01_one.ipynb), [solved](notebooks/solutions), "
        "[code](tools), [tool](tools/build_site.py), [data](data/NOTE.md), "
        "[![dot](data/dot.png)](docs/glossary.md#auc)\n",
        encoding="utf-8",
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "NOTE.md").write_text("# Note\n\n[back](../README.md)\n", encoding="utf-8")
    (tmp_path / "data" / "dot.png").write_bytes(base64.b64decode(DOT))
    glossary = '# Glossary\n\n<a id="auc"></a>**AUC** is an area.\n\n## Two words\n\n[up](#auc)\n'
    (tmp_path / "docs" / "glossary.md").write_text(glossary, encoding="utf-8")
    links = "[a](../docs/glossary.md#auc), [w](../docs/glossary.md#two-words), [solved](solutions/01_one.ipynb#how)"
    one = text_cell("# 01 · One", "", links, "", "```mermaid", "flowchart LR", "```")
    write_notebook(tmp_path / "notebooks" / "01_one.ipynb", one)
    write_notebook(tmp_path / "notebooks" / "solutions" / "01_one.ipynb", text_cell("# Solved", "", "## How"))
    return tmp_path


def test_front_page_brings_along_what_it_links_to(project):
    result = run_build(project, project / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    page = BeautifulSoup((project / "out" / "index.html").read_text(encoding="utf-8"), "html.parser").article
    assert "flowchart" not in page.get_text()
    links = {link.get_text(): link["href"] for link in page.select("p a")}
    assert links["one"] == "notebooks/01_one.html"
    assert links["solved"] == "notebooks/solutions/index.html"
    assert links["data"] == "data/NOTE.html"
    assert "code" not in links
    assert links[""] == "docs/glossary.html#auc"
    assert page.select_one("img[alt=dot]")
    assert (project / "out" / links["tool"]).read_bytes() == (project / "tools" / "build_site.py").read_bytes()


def test_each_fault_of_a_notebook_is_named_and_fails_the_build(project):
    faults = ["[a file](02_gone.ipynb)", "[an anchor](../README.md#missing)", "$\\nonsense{x}$"]
    write_notebook(project / "notebooks" / "01_one.ipynb", text_cell("# 01 · One", *faults))
    result = run_build(project, project / "out")
    assert result.returncode != 0
    assert "faults" in result.stdout
    for fault in ("02_gone", "missing", "nonsense"):
        assert re.search(rf"01_one.ipynb.*WARNING.*{fault}", result.stderr), fault


def test_a_missing_folder_of_notebooks_is_named(project):
    result = run_build(project, project / "out", f"--notebooks={project / 'nowhere'}")
    assert result.returncode != 0
    assert "nowhere is not a folder of notebooks" in result.stderr


def test_a_folder_with_other_things_is_never_emptied(project):
    (project / "out").mkdir()
    (project / "out" / "letter.txt").write_text("dear", encoding="utf-8")
    assert run_build(project, project / "out").returncode != 0
    assert (project / "out" / "letter.txt").exists()


@pytest.fixture(scope="module")
def address(site):
    """Serve the site on a free port of this machine."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_search_finds_a_page(browser, address):
    set_width(browser, 1200)
    browser.get(address)
    shown(browser, "button.search-button-field").click()
    field = wait_for(browser, lambda b: shown(b, "dialog input[name=q]"))
    field.send_keys("threshold\n")
    result = wait_for(browser, lambda b: shown(b, "#search-results li a"))
    assert "search.html" in browser.current_url
    result.click()
    wait_for(browser, lambda b: "search.html" not in b.current_url)
    assert "threshold" in browser.find_element("css selector", "article").text.lower()


QUESTIONS = {
    "how to set a threshold": "docs/which_method.html#how-to-set-a-threshold",
    "average precision": "docs/glossary.html",
    "what is average precision": "docs/glossary.html",
    "own data": "docs/which_method.html#where-to-put-your-own-data",
    "where to put my own data": "docs/which_method.html#where-to-put-your-own-data",
    "GAN verdict fails": "docs/when_it_goes_wrong.html#why-the-gan-s-verdict-fails",
    "why the GAN's verdict fails": "docs/when_it_goes_wrong.html#why-the-gan-s-verdict-fails",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_search_answers_what_readers_ask(browser, address, question):
    set_width(browser, 1200)
    browser.get(f"{address}search.html?q={quote(question)}")
    wait_for(browser, lambda b: b.find_elements("css selector", "#search-results li a"))
    wait_for(browser, lambda b: "finished" in b.find_element("css selector", "#search-results").text)
    found = [link.get_attribute("href") for link in browser.find_elements("css selector", "#search-results li > a")]
    first = [link.split("?")[0].removeprefix(address) for link in found[:5]]
    assert any(link.startswith(QUESTIONS[question].split("#")[0]) for link in first), found[:8]


def test_a_folded_cell_opens_on_a_click(browser, address):
    set_width(browser, 1200)
    browser.get(f"{address}notebooks/99_form.html")
    code = browser.find_element("css selector", "details.hide pre")
    assert not code.is_displayed()
    browser.find_element("css selector", "details.hide summary").click()
    wait_for(browser, lambda b: code.is_displayed())
    assert code.text == "draw()"


def test_the_theme_switches(browser, address):
    set_width(browser, 1200)
    browser.get(address)
    for mode in ("dark", "light"):
        shown(browser, "button.theme-switch-button").click()
        wait_for(browser, lambda b, mode=mode: shown(b, f"button.theme-change-button[data-mode={mode}]")).click()
        assert browser.execute_script("return document.documentElement.dataset.theme") == mode


def test_79_characters_of_code_fit_beside_the_sidebars(browser, address):
    set_width(browser, 1200)
    browser.get(f"{address}notebooks/99_form.html")
    browser.find_element("css selector", "details.hide summary").click()
    fits = "const pre = document.querySelector('details.hide pre'); pre.textContent = 'x'.repeat(79);"
    assert browser.execute_script(f"{fits} return pre.scrollWidth <= pre.clientWidth")


def test_pages_fit_a_phone_and_load_quietly_from_here_alone(browser, address, pages):
    browser.get_log("browser")  # forgets what came before
    set_width(browser, 390)
    faults = []
    for name in sorted(pages):
        browser.get(address + name)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        if width > 390:
            faults.append(f"{name} is {width} pixels wide")
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        faults += [f"{name} loads {other}" for other in loaded if not other.startswith((address, "data:"))]
        entries = browser.get_log("browser")
        faults += [f"{name}: {e['message']}" for e in entries if e["level"] in ("SEVERE", "WARNING")]
    assert not faults
