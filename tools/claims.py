"""Measure every claim under several seeds into benchmarks/claims/, and render benchmarks/claims.md from there."""

import ast
import datetime
import hashlib
import json
import math
import os
import re
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import nbformat
from execute import NOTEBOOKS, ROOT, arguments, execute, find_notebooks, name_of, outcome

RECORDS = ROOT / "benchmarks" / "claims"
PAGE = ROOT / "benchmarks" / "claims.md"
HEAD = """# What every claim measured

Rendered from the records in `claims/`, which `make claims` writes: each claim of the notebooks with its bar, the
least, the median and the largest value over the seeds, and under how many of them it held. The last column says
whether the bar was changed after the run.
"""
PRINTED = re.compile(
    r"^✓ (?P<claim>.+): \S+ "
    r"\((?:at least (?P<least>\S+?)|at most (?P<most>\S+?)|(?P<low>\S+) to (?P<high>\S+?))(?:; stored)?\)$",
    re.MULTILINE,
)


def measure(only, seeds, workers):
    """Run every notebook under each seed and record what its claims measured."""
    paths = [path for path in find_notebooks(only) if re.search(r"\bexpect\(", path.read_text(encoding="utf-8"))]
    if not paths:
        sys.exit(f"No notebook whose path contains {only!r} makes a claim.")
    failed = 0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(run_once, path, seed): (path, seed) for seed in seeds for path in paths}
        for number, job in enumerate(as_completed(jobs), 1):
            path, seed = jobs[job]
            code, found, seconds, problem = job.result()
            # Ten seeds take more than an hour: what was measured is stored at once.
            twice = record_run(path, code, seed, found)
            problem = problem or twice
            render()
            failed += bool(problem)
            print(f"[{number}/{len(jobs)}] {name_of(path)}, seed {seed}: {outcome(seconds, problem)}", flush=True)
    records = [read_record(path) for path in paths]
    missed = [
        f"{record['notebook']}: {claim['claim']} (seeds {', '.join(map(str, seeds_missed(record, claim)))})"
        for record in records
        for claim in record["claims"]
        if seeds_missed(record, claim)
    ]
    for line in missed:
        print(f"✗ {line}")
    n_claims = sum(len(record["claims"]) for record in records)
    print(f"\n{n_claims} claims, {len(missed)} missed, {failed} runs failed; see {PAGE.relative_to(ROOT)}")
    return 1 if missed or failed else 0


def run_once(path, seed):
    """Run one notebook under one seed; return the hash of its code, its claims, the seconds, what went wrong or ''."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.jsonl"
        notebook, seconds, problem = execute(path, TUTORIAL_SEED=str(seed), TUTORIAL_CLAIMS=str(file))
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return code_hash(notebook), [json.loads(line) for line in lines], seconds, problem


def code_hash(notebook):
    """Hash the code that the values depend on: neither comments nor layout, nor the bars, nor the snippet."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "snippet" not in cell.metadata.get("tags", []):
            try:
                tree = ast.parse(cell.source)
            except SyntaxError:  # an IPython magic
                parts.append(cell.source)
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "expect":
                    node.keywords = [word for word in node.keywords if word.arg not in ("at_least", "at_most")]
            parts.append(ast.dump(tree))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def record_file(path):
    return RECORDS / path.relative_to(NOTEBOOKS).with_suffix(".json")


def read_record(path):
    """Return the record of a notebook, or None."""
    file = record_file(path)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def record_run(path, code, seed, found):
    """Add one run to the record of a notebook, a new one if code or bars have changed; return a problem or ''."""
    bars = {line["claim"]: bars_of(line) for line in found}
    record = read_record(path)
    if (
        record is None
        or record.get("code") != code
        or any(bars.get(claim["claim"], bars_of(claim)) != bars_of(claim) for claim in record["claims"])
    ):
        record = {"notebook": name_of(path), "code": code, "seeds": [], "claims": []}
    record["measured"] = datetime.date.today().isoformat()
    record["seeds"] = sorted({*record["seeds"], seed})
    for claim in record["claims"]:
        claim["values"].pop(str(seed), None)
    position = 0
    for line in found:
        names = [claim["claim"] for claim in record["claims"]]
        if line["claim"] not in names:
            entry = {"claim": line["claim"], **bars_of(line)} | ({"stored": True} if line["stored"] else {})
            record["claims"].insert(position, entry | {"values": {}})
            names.insert(position, line["claim"])
        position = names.index(line["claim"]) + 1
        record["claims"][position - 1]["values"][str(seed)] = line["value"]
    write_record(record)
    twice = sorted({line["claim"] for line in found if sum(line["claim"] == o["claim"] for o in found) > 1})
    return f"made twice: {'; '.join(twice)}" if twice else ""


def bars_of(claim):
    return {side: claim[side] for side in ("at_least", "at_most") if claim.get(side) is not None}


def write_record(record):
    """Store a record, one line a claim."""
    head = {key: value for key, value in record.items() if key != "claims"}
    fields = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
    claims = ",\n".join(json.dumps(claim, ensure_ascii=False) for claim in record["claims"])
    file = RECORDS / f"{record['notebook']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "{" + ",\n".join(fields) + f',\n"claims": [\n{claims}\n]' + "}\n"
    # Nobody reads half a record.
    file.with_suffix(".new").write_text(text, encoding="utf-8")
    os.replace(file.with_suffix(".new"), file)


def seeds_missed(record, claim):
    """Return the seeds under which a claim missed its bar or was not reached."""
    low, high = claim.get("at_least", -math.inf), claim.get("at_most", math.inf)
    values = claim["values"]
    return [seed for seed in record["seeds"] if not low <= values.get(str(seed), math.nan) <= high]


def printed_claims(notebook):
    """Return the bars of the claims that the stored outputs print as held, by claim."""
    found = {}
    for cell in notebook.cells:
        text = "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream")
        for match in PRINTED.finditer(text):
            bars = {"at_least": ("least", "low"), "at_most": ("most", "high")}
            found[match["claim"]] = {
                side: float(match[group].replace(",", ""))
                for side, groups in bars.items()
                for group in groups
                if match[group]
            }
    return found


def same_bars(one, other):
    """Compare bars that may have been printed with six digits."""
    return one.keys() == other.keys() and all(math.isclose(one[side], other[side], rel_tol=1e-5) for side in one)


def render():
    """Write claims.md from the records and the stored notebooks."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


def page():
    parts = [HEAD]
    for path in find_notebooks():
        record = read_record(path)
        if record is not None:
            parts.append(f"## {record['notebook']}\n\n{section(record, nbformat.read(path, as_version=4))}")
    return "\n".join(parts)


def section(record, notebook):
    """Return a line on the run, and the table of the claims."""
    rows = []
    for claim, values, notes in looked_at(record, notebook):
        numbers, held = [""] * 3, ""
        if "values" in claim:
            middle = [min(values), statistics.median(values), max(values)] if values else [math.nan] * 3
            numbers = [f"{value:.4g}" for value in middle]
            held = f"{len(record['seeds']) - len(seeds_missed(record, claim))} of {len(record['seeds'])}"
        rows.append([claim["claim"], bar_text(claim), *numbers, held, "; ".join(notes)])
    head = ["claim", "bar", "least", "median", "largest", "held", ""]
    return f"{about(record, notebook)}\n\n{markdown(head, rows)}"


def about(record, notebook):
    """Return a line on the run."""
    line = f"Measured on {record['measured']} under {len(record['seeds'])} seeds."
    if record["code"] != code_hash(notebook):
        line += " **Older than its notebook: the code has changed since.**"
    return line


def looked_at(record, notebook):
    """Yield each claim with its finite values and notes; one that was not measured has no "values"."""
    now = printed_claims(notebook)
    for claim in record["claims"]:
        missed = seeds_missed(record, claim)
        notes = ["stored measurement"] if claim.get("stored") else []
        if missed:
            notes.append(f"missed by seeds {', '.join(map(str, missed))}")
        if claim["claim"] not in now:
            notes.append("no longer claimed")
        elif not same_bars(now[claim["claim"]], bars_of(claim)):
            notes.append(f"**bar set after the run: now {bar_text(now[claim['claim']])}**")
        yield claim, [value for value in claim["values"].values() if not math.isnan(value)], notes
    known = {claim["claim"] for claim in record["claims"]}
    for claim, bar in now.items():
        if claim not in known:
            yield {"claim": claim, **bar}, [], ["not measured"]


def bar_text(claim):
    bars = bars_of(claim)
    if len(bars) == 2:
        return f"{bars['at_least']:.12g} to {bars['at_most']:.12g}"
    return f"≥ {bars['at_least']:.12g}" if "at_least" in bars else f"≤ {bars['at_most']:.12g}"


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in lines) + "\n"


def main():
    parser = arguments(__doc__)
    parser.add_argument("action", choices=["measure", "render"])
    parser.add_argument("--seeds", default="0 1 2 3 4 5 6 7 8 9", help="to measure under, separated by blanks")
    parser.add_argument("--workers", type=int, default=1, help="notebooks that run at the same time")
    args = parser.parse_args()
    if args.action == "render":
        return render()
    try:
        seeds = [int(seed) for seed in args.seeds.split()]
    except ValueError:
        parser.error(f"--seeds is {args.seeds!r}, expected integers separated by blanks")
    if not seeds or min(seeds) < 0:
        parser.error(f"--seeds is {args.seeds!r}, expected at least one integer, 0 or more")
    if args.workers < 1:
        parser.error(f"--workers is {args.workers}, expected 1 or more")
    return measure(args.only, seeds, args.workers)


if __name__ == "__main__":
    sys.exit(main())
