"""The site's page of all claims: each with its bar, a small picture of its seeds, and a link to its place."""

import html
import json
import re
import statistics

import claims
import nbformat

HEAD = """# All claims

Every sentence with a number in a lesson stands on a claim, which is executed: it names what is measured, and the bar
that the value must hold. Here is what each of the {n} claims measured when its notebook was run under {seeds} random
seeds; {missed}.

{legend}

The number on the left leads to the claim's place in its lesson, and each lesson leads back here. *Stored*: the value
comes from a benchmark that takes too long for a lesson, and is the same under every seed.

"""
WIDTH, HEIGHT, EDGE = 180, 22, 8
HEADING = re.compile(r"^(#{2,3}) (?:(?P<number>\d+(?:\.\d+)?)(?: ·)? )?(?P<title>.+)$", re.MULTILINE)


def picture(values, claim):
    """Draw the values as dots, their median as a stroke, and shade where the claim holds."""
    low, high = claim.get("at_least"), claim.get("at_most")
    ends = [*values, *(bar for bar in (low, high) if bar is not None)]
    first, last = min(ends), max(ends)
    margin = 0.12 * (last - first) or 0.1 * abs(first) or 0.1
    first, last = first - margin, last + margin

    def place(value):
        return round(EDGE + (WIDTH - 2 * EDGE) * (value - first) / (last - first), 1)

    start = EDGE if low is None else place(low)
    end = WIDTH - EDGE if high is None else place(high)
    middle = HEIGHT / 2
    bars = "".join(
        f'<line class="bar" x1="{place(bar)}" x2="{place(bar)}" y1="2" y2="{HEIGHT - 2}"/>'
        for bar in (low, high)
        if bar is not None
    )
    dots = "".join(f'<circle cx="{x}" cy="{middle}" r="3"/>' for x in sorted({place(value) for value in values}))
    centre = place(statistics.median(values))
    text = html.escape(
        f"{len(values)} seeds from {min(values):.4g} to {max(values):.4g}, median {statistics.median(values):.4g}; "
        f"bar {claims.bar_text(claim)}"
    )
    return (
        f'<svg class="claim" role="img" aria-label="{text}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}"><title>{text}</title>'
        f'<line class="axis" x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{middle}" y2="{middle}"/>'
        f'<rect class="holds" x="{start}" y="{middle - 5}" width="{max(end - start, 0):.1f}" height="10"/>'
        f'{bars}{dots}<line class="median" x1="{centre}" x2="{centre}" y1="{middle - 7}" y2="{middle + 7}"/></svg>'
    )


def places(notebook):
    """Return the number, or else the title, of the section that makes each claim, and the number of the cell."""
    section, found = "", {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for heading in HEADING.finditer(cell.source):
                section = heading["number"] or heading["title"]
        elif "expect(" in cell.source:
            for claim in claims.printed_claims(nbformat.v4.new_notebook(cells=[cell])):
                found[claim] = (section, number)
    return found


def anchor(name, number):
    """Name the place of the claims of a cell, in its notebook and on this page."""
    return f"claims-{name.replace('/', '-')}-{number}"


def page(notebooks):
    """Return the page; `notebooks` has each notebook, as it is on the site, by its name."""
    parts, n, seeds, missed = [], 0, set(), 0
    for name, notebook in notebooks.items():
        file = claims.RECORDS / f"{name}.json"
        if not file.exists():
            continue
        record = json.loads(file.read_text(encoding="utf-8"))
        title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        parts.append(f"## {title}\n\n{claims.about(record, notebook)}\n\n{table(record, notebook, name)}\n")
        n += len(record["claims"])
        seeds.add(len(record["seeds"]))
        missed += sum(bool(claims.seeds_missed(record, claim)) for claim in record["claims"])
    legend = picture([0.94, 0.95, 0.955, 0.96, 0.97], {"at_least": 0.9})
    how_many = " to ".join(map(str, sorted({min(seeds), max(seeds)}))) if seeds else "no"
    verdict = "all of them held" if missed == 0 else f"{missed} of them missed it under at least one"
    return HEAD.format(n=n, seeds=how_many, missed=verdict, legend=explain(legend)) + "\n".join(parts)


def explain(legend):
    return (
        f"{legend} Each dot is a seed and the tall stroke their median. The claim holds where the line is shaded, from "
        "the bar on."
    )


def table(record, notebook, name):
    where, rows, before = places(notebook), [], None
    for claim, values, notes in claims.looked_at(record, notebook):
        section, number = where.get(claim["claim"], ("–", None))
        link = section
        if number is not None:
            own = anchor(name, number)
            link = f"[{section}](../notebooks/{name}.ipynb#{own})"
            if number != before:
                link, before = f'<a id="{own}"></a>{link}', number
        measured = ""
        if values:
            middle, ends = statistics.median(values), f"{min(values):.3g} to {max(values):.3g}"
            measured = f"{middle:.3g}" + ("" if claim.get("stored") or min(values) == max(values) else f" ({ends})")
        drawn = picture(values, claim) if values else ""
        text = claim["claim"] + "".join(f" · *{note.replace('stored measurement', 'stored')}*" for note in notes)
        rows.append([link, text, claims.bar_text(claim), drawn, measured])
    return claims.markdown(["section", "claim", "bar", "seeds", "median (range)"], rows)


def link_back(notebook, name):
    """Put a line before the cells of claims that leads to this page, and that this page can lead to."""
    file = claims.RECORDS / f"{name}.json"
    if not file.exists():
        return
    stored = {claim["claim"] for claim in json.loads(file.read_text(encoding="utf-8"))["claims"] if claim.get("stored")}
    up, where = "../" * (1 + name.count("/")), places(notebook)
    for number in sorted({number for _, number in where.values()}, reverse=True):
        own = anchor(name, number)
        here = {claim for claim, (_, cell) in where.items() if cell == number}
        source = "from stored measurements" if here <= stored else "under ten seeds"
        line = f'<a id="{own}"></a>\n\n[*The claims of this section {source}*]({up}benchmarks/claims.md#{own})'
        notebook.cells.insert(number, nbformat.v4.new_markdown_cell(line))
