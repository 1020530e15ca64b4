"""Build the site from the stored notebooks and pages, without running anything: ``python tools/build_site.py``."""

import argparse
import os
import re
import shutil
import sys
import time
from pathlib import Path

import claim_pictures
import measured
import nbformat
import slides
from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parent.parent
# Pages beside the notebooks; what is not there is left out.
GUIDES = ["notebooks/START_HERE.md", "docs/which_method.md", "docs/when_it_goes_wrong.md", "docs/glossary.md"]
MORE = ["docs/workshop.md", "benchmarks/README.md", "benchmarks/claims.md"]
SOLUTIONS = "notebooks/solutions/index.md"
CLAIMS = "benchmarks/claims.md"  # on the site with pictures in the place of the table
LINK = re.compile(
    r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\]\([^()]*\))*)\]\((?P<target>[^()\s#:]+)(?P<anchor>(?:#[^()\s]*)?)\)"
)
# Terms as GitHub shows them, and what becomes of them: entries that the search knows.
TERM = re.compile(r"^(?P<term>\S.*)\n: (?P<text>.+)$", re.MULTILINE)
LESSON = re.compile(r"(?<=[(\s])(?P<number>\d\d)(?=[,)])")
SLIDES = "<!-- slides -->"  # the place of links to them, which are no pages of Sphinx
MERMAID = re.compile(r"^```mermaid\n.*?^```$\n?", re.MULTILINE | re.DOTALL)
MARK = ".made-by-build_site"  # in each folder that may be emptied


def build(notebooks: Path = ROOT / "notebooks", output: Path = ROOT / "build" / "site") -> int:
    """Build the site into `output` and return 0, or what Sphinx returns if it warned.

    Notebooks come from the folder `notebooks` and its subfolder `solutions`; one that is missing there is taken as
    stored in the repository, so that links between notebooks lead somewhere.
    """
    start = time.perf_counter()
    notebooks, output = Path(notebooks).resolve(), Path(output).resolve()
    source = output.with_name(f"{output.name}-source")
    if not notebooks.is_dir():
        raise FileNotFoundError(f"{notebooks} is not a folder of notebooks")
    for folder in (output, source):
        if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
            raise FileExistsError(f"{folder} holds something else than a site; choose another output folder")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / MARK).touch()
    assembly = Assembly(notebooks, source)
    assembly.assemble()
    doctrees = source / ".doctrees"
    options = ["--builder=html", "--fail-on-warning", "--keep-going", "--quiet", "--jobs=auto"]
    code = build_main([*options, f"--conf-dir={ROOT / 'docs'}", f"--doctree-dir={doctrees}", str(source), str(output)])
    for template in (output / "_static").glob("*webpack-macros.html"):
        template.unlink()  # the theme's own building blocks: no pages
    slides.write([assembly.origin(page) for page in assembly.lessons()], output / "slides")
    page = output / "index.html"
    seconds = time.perf_counter() - start
    print(f"The site is built: open {page} in a browser ({seconds:.0f} s)." if code == 0 else "The site has faults.")
    return code


class Assembly:
    """The sources of the site, copied into one folder in the layout of the repository, so that links need no change.

    README.md becomes the front page. Whatever a page links to and the repository holds comes along.
    """

    def __init__(self, notebooks, target):
        self.notebooks = notebooks
        self.target = target
        self.done = set()

    def assemble(self):
        lessons, solutions = self.names("."), self.names("solutions")
        guides, more = ([page for page in pages if (ROOT / page).exists()] for pages in (GUIDES, MORE))
        self.listed = {"README.md", *lessons, *solutions, *guides, *more}
        self.notebook_pages = [*lessons, *solutions]
        for page in sorted(self.listed):
            self.add(page)
        self.write(SOLUTIONS, "# Solutions\n\n" + toctree([Path(page).name for page in solutions], maxdepth=1))
        front = self.target / "README.md"
        contents = toctree(lessons, caption="Lessons", hidden="")
        contents += toctree(guides, caption="Find your way", hidden="")
        contents += toctree([SOLUTIONS, *more], caption="More", hidden="")
        self.write("index.md", f"{front.read_text(encoding='utf-8')}\n{contents}")
        front.unlink()

    def lessons(self):
        """Return the numbered lessons."""
        return [page for page in self.names(".") if (self.origin(page).name[:2]).isdigit()]

    def names(self, folder):
        """Return the notebooks of a subfolder, those of the repository included, by their paths in the repository."""
        found = {path.name for base in (self.notebooks, ROOT / "notebooks") for path in (base / folder).glob("*.ipynb")}
        return [(Path("notebooks") / folder / name).as_posix() for name in sorted(found)]

    def origin(self, name):
        """Return where the file or folder of this path in the repository is taken from."""
        path = Path(name)
        if path.parts[:1] == ("notebooks",):
            fresh = self.notebooks / path.relative_to("notebooks")
            if fresh.exists():
                return fresh
        return ROOT / path

    def add(self, name):
        """Copy a file, and whatever it links to."""
        if name in self.done:
            return
        self.done.add(name)
        origin = self.origin(name)
        if origin.suffix == ".md":
            text = self.claims_page() if name == CLAIMS else origin.read_text(encoding="utf-8")
            if name.startswith("docs/"):
                text = self.terms(measured.update(text, keep=False)).replace(SLIDES, self.links_to_slides())
            text = self.adapt(text, name)
            # Sphinx asks that every page is in a list of contents, or says that it is in none.
            self.write(name, text if name in self.listed else f"---\norphan: true\n---\n{text}")
        elif origin.suffix == ".ipynb":
            notebook = nbformat.read(origin, as_version=4)
            claim_pictures.link_back(notebook, name_of(name))
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = self.adapt(cell.source, name)
            self.write(name, nbformat.writes(notebook))
        else:
            self.write(name, origin.read_bytes())

    def terms(self, text):
        """Make entries of a glossary of a list of terms, and links of the numbers of lessons in it."""
        lessons = {Path(page).name[:2]: page for page in self.lessons()}

        def entry(match):
            known = LESSON.sub(lambda number: self.lesson_link(number[0], lessons), match["text"])
            return f"```{{glossary}}\n{match['term']}\n  {known}\n```"

        return TERM.sub(entry, text)

    @staticmethod
    def lesson_link(number, lessons):
        return f"[{number}](../{lessons[number]})" if number in lessons else number

    def links_to_slides(self):
        links = (f'<a href="../slides/{Path(page).stem}.html">{Path(page).name[:2]}</a>' for page in self.lessons())
        return f"<p>Slides of {', '.join(links)}</p>"

    def claims_page(self):
        return claim_pictures.page(
            {name_of(page): nbformat.read(self.origin(page), as_version=4) for page in self.notebook_pages}
        )

    def write(self, name, content):
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))

    def adapt(self, text, name):
        """Return the text of a page as the site needs it."""
        text = MERMAID.sub("", text)  # only a script from another host could draw it
        return LINK.sub(lambda link: self.follow(link, name), text)

    def follow(self, link, name):
        """Bring along what a link leads to, and return the link as the site needs it; a broken one stays as it is."""
        folder = Path(name).parent
        text, target = self.adapt(link["text"], name), link["target"]  # a picture may be a link's text
        goal = Path(os.path.normpath(folder / target)).as_posix()
        page = {"README.md": "index.md", Path(SOLUTIONS).parent.as_posix(): SOLUTIONS}.get(goal)
        if page:
            target = Path(os.path.relpath(page, folder)).as_posix()
        elif not goal.startswith(("..", "/")) and self.origin(goal).exists():
            if self.origin(goal).is_dir():
                return text  # a folder has no page
            self.add(goal)
        return f"{link['image']}[{text}]({target}{link['anchor']})"


def name_of(page):
    """Name a notebook by its path: "01_tabular_autoencoder", "solutions/01_tabular_autoencoder"."""
    return Path(page).relative_to("notebooks").with_suffix("").as_posix()


def toctree(pages, **options):
    """Return a list of contents for Sphinx."""
    lines = [f":{name}: {value}" for name, value in options.items()]
    return "\n".join(
        ["```{toctree}", *lines, "", *(Path(page).with_suffix("").as_posix() for page in pages), "```", ""]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", help="folder that the notebooks are in")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", help="folder to write the site to")
    args = parser.parse_args()
    try:
        return build(args.notebooks, args.output)
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
