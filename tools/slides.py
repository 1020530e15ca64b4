"""Make slides of the lessons' core: one file each, with everything in it, for any browser, offline."""

import html
import re
import sys
from pathlib import Path

import nbformat
from execute import BUILD, NOTEBOOKS, arguments, find_notebooks
from markdown_it import MarkdownIt

SLIDES = BUILD / "workshop" / "slides"
LEFT_OUT = ("Setup", "Exercises", "Going further")
MOST_WORDS, MOST_ROWS = 90, 14  # of an answer, of a table
SHORT_QUESTION = 10  # words; one as short says little without the paragraph before it
HEADING = re.compile(r"(?m)^#{2,3} (.+)$")
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
TEMPLATE = Path(__file__).with_name("slides.html")
markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


def render(text):
    """Return Markdown as HTML; links within the repository lead nowhere from a slide, and become text."""
    return markdown.render(LINK.sub(r"\1", text))


def paragraphs(text):
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def shortened(text):
    """Return the first paragraphs, and of the rest what is set in bold."""
    kept, words = [], 0
    for part in paragraphs(HEADING.split(text)[0]):
        words += len(part.split())
        if kept and words > MOST_WORDS:
            sentences = re.split(r"(?<=[.?!])\s+|(?<=[.?!]\))\s+", part)
            part = "\n".join(sentence for sentence in sentences if "**" in sentence)
        if part:
            kept.append(part)
    return "\n\n".join(kept)


def predicts(text):
    """Return the paragraphs that ask for a prediction, a short one with the paragraph before it."""
    before, found = "", []
    for part in paragraphs(HEADING.sub("", text)):
        if "**Predict" in part:
            short = before and len(part.split()) < SHORT_QUESTION
            found.append(f"{before}\n\n{part}" if short else part)
        before = part
    return found


def shown(cell):
    """Return what a cell shows, each output as HTML: a figure, a short table, or a few printed lines."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            picture = "".join(data["image/png"]).replace("\n", "")
            found.append(f'<img src="data:image/png;base64,{picture}" alt="{html.escape(alt)}">')
        elif "text/html" in data:
            table = "".join(data["text/html"])
            if table.count("<tr") <= MOST_ROWS + 1:
                found.append(f'<div class="table">{re.sub(r"<style.*?</style>", "", table, flags=re.DOTALL)}</div>')
        else:
            text = output.get("text") or data.get("text/plain", "")
            if 0 < len(text.splitlines()) <= MOST_ROWS:
                found.append(f"<pre>{html.escape(text.rstrip())}</pre>")
    return found


def parts(notebook):
    """Yield what is not optional after the first cell: heading, cell (text is cut at its headings) and tags."""
    title, level, optional = "", 0, False
    for cell in notebook.cells[1:]:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            if not optional:
                yield title, cell, tags
            continue
        for text in re.split(r"(?m)^(?=#{2,3} )", cell.source):
            heading = HEADING.match(text)
            if heading:
                depth = text.index(" ")
                if depth <= level or not optional:
                    optional = "optional" in tags
                    level = depth
                title, text = heading[1].replace("`", ""), text[heading.end() :]
            if text.strip() and not optional:
                yield title, nbformat.v4.new_markdown_cell(text), tags


def slides_of(notebook):
    """Return the slides of a lesson as pairs of a kind and HTML, in the order of its cells."""
    opening = paragraphs(notebook.cells[0].source.partition("\n## ")[0])
    learn = next((i for i, part in enumerate(opening) if part.startswith("- ")), len(opening) - 1)
    found = [("title", render("\n\n".join(opening[: learn + 1])))]
    asked = []  # what has been shown since a question, if one is open

    def add(kind, title, body):
        found.append((kind, f"<h2>{html.escape(title)}</h2>\n{body}"))

    for title, cell, tags in parts(notebook):
        if title in LEFT_OUT or "snippet" in tags:
            continue
        if "claims" in tags:
            lines = [line for output in cell.outputs for line in output.get("text", "").splitlines()]
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines if line.startswith("✓"))
            add("claims", title, f"<ul>{items}</ul>")
        elif cell.cell_type == "code":
            figures = [body for body in shown(cell) if body.startswith("<img")]
            printed = [body for body in shown(cell) if not body.startswith("<img")]
            if printed and (asked or title == "Summary"):
                add("result", title, "\n".join(printed))
            for figure in figures:
                add("result", title, figure)
        else:
            if "answer" in tags and asked:
                add("answer", title, render(shortened(cell.source)))
                asked = []
            for question in predicts(cell.source):
                add("predict", title, render(question))
                asked = [question]
            if title == "Summary":
                body = "\n\n".join(part for part in paragraphs(cell.source) if not part.startswith("*Run"))
                if body:
                    add("result", title, render(body))
    return found


def deck(notebook):
    """Return a page that holds all slides of a lesson."""
    slides = slides_of(notebook)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    body = "\n".join(f'<section class="{kind}">\n{content}\n</section>' for kind, content in slides)
    page = TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{{title}}", html.escape(title)).replace("{{slides}}", body)


def write(paths, target):
    """Write a page of slides for each lesson, and return their paths."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for path in paths:
        file = target / f"{path.stem}.html"
        file.write_text(deck(nbformat.read(path, as_version=4)), encoding="utf-8")
        written.append(file)
    return written


def lessons(only=""):
    return [path for path in find_notebooks(only) if path.parent == NOTEBOOKS]


if __name__ == "__main__":
    write(lessons(arguments(__doc__).parse_args().only), SLIDES)
    print(f"Slides are in {SLIDES}")
    sys.exit()
