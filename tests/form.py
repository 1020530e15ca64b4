"""The form of a lesson, as functions that list what a notebook does otherwise."""

import ast
import builtins
import re
import statistics
import symtable

import reading_time
from lessons import tags

LONGEST_CELL, LONGEST_NETWORK, LONGEST_IMPORTS, LONGEST_SNIPPET, LONGEST_LINE, MEDIAN_CELL = 18, 30, 34, 46, 79, 8
CLAIMS_A_CELL, CLAIMS_A_LESSON, WORDS_A_LESSON = 8, 41, 2200
WORDS_OF_A_LONG_LESSON = {"02": 2215, "04": 2315, "05": 2315, "06": 2825, "07": 2380, "08": 2390}
WORDS_OF_A_LONG_LESSON |= {"09": 2780, "10": 2830, "11": 2925}
SHORTEST_ALT_TEXT = 30


def is_claims(cell):
    return "claims" in tags(cell)


def is_folded(cell):
    return "hide-input" in tags(cell)


def code(notebook):
    """Yield the code cells with their numbers."""
    return [(number, cell) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def visible_code(notebook):
    return [(number, cell) for number, cell in code(notebook) if not is_folded(cell)]


def parse(cell):
    return ast.parse(re.sub(r"(?m)^[%!].*$", "", cell.source))


def calls(tree):
    """Return the names of the functions and methods that are called."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [function.id if isinstance(function, ast.Name) else getattr(function, "attr", "") for function in functions]


def images(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def kinds_of_cells(notebook):
    """Lesson cells are in sight; figures and claims are folded; claims close a section."""
    found = []
    for number, cell in code(notebook):
        if is_folded(cell) != bool(cell.metadata.get("jupyter", {}).get("source_hidden")):
            found.append(f"cell {number} is folded either on the site or in JupyterLab only")
        if is_claims(cell):
            following = notebook.cells[number + 1] if number + 1 < len(notebook.cells) else None
            if not is_folded(cell):
                found.append(f"cell {number}: its claims are not folded")
            if following is not None and not (following.cell_type == "markdown" and following.source.startswith("#")):
                found.append(f"cell {number}: claims close a section, and a heading follows")
        elif "expect" in calls(parse(cell)):
            found.append(f"cell {number} makes a claim outside a claims cell")
        elif is_folded(cell) and not images(cell) and "interact" not in cell.source:
            found.append(f"cell {number} is folded and shows no figure")
    return found


def lengths_of_cells(notebook):
    """Visible cells are short, and fit the column of the site."""
    found, lengths = [], []
    for number, cell in visible_code(notebook):
        lines = cell.source.splitlines()
        lengths.append(len(lines))
        if len(lines) > longest(cell):
            found.append(f"cell {number} has {len(lines)} lines")
        found += [
            f"cell {number}, line {i}: {len(line)} characters"
            for i, line in enumerate(lines, 1)
            if len(line) > LONGEST_LINE
        ]
    if lengths and statistics.median(lengths) > MEDIAN_CELL:
        found.append(f"the median of the visible cells is {statistics.median(lengths)} lines, at most {MEDIAN_CELL}")
    return found


def longest(cell):
    """Return how many lines a cell may have."""
    if "snippet" in tags(cell):
        return LONGEST_SNIPPET
    if is_mostly_imports(cell):
        return LONGEST_IMPORTS
    return LONGEST_NETWORK if defines_a_network(cell) else LONGEST_CELL


def defines_a_network(cell):
    return bool(re.search(r"\bkeras\.(Sequential|Input|Model)\b|\blayers\.\w+\(", cell.source))


def is_mostly_imports(cell):
    body = parse(cell).body
    return 2 * sum(isinstance(node, ast.Import | ast.ImportFrom) for node in body) >= len(body)


def claims_are_few(notebook):
    counts = {number: calls(parse(cell)).count("expect") for number, cell in code(notebook)}
    found = [f"cell {number} makes {n} claims" for number, n in counts.items() if n > CLAIMS_A_CELL]
    total = sum(counts.values())
    return found + ([f"{total} claims in all, at most {CLAIMS_A_LESSON}"] if total > CLAIMS_A_LESSON else [])


# What a claims cell may do with what the lesson cells found.
TO_ONE_NUMBER = {"min", "max", "len", "abs", "sum", "mean", "median", "any", "all", "item", "int", "float", "round"}
PLAIN = (
    *(ast.Expr, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice),
    *(ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop, ast.Tuple, ast.List),
    *(ast.JoinedStr, ast.FormattedValue),
)


def claims_compute_nothing(notebook):
    found = []
    for number, cell in code(notebook):
        if is_claims(cell):
            body = parse(cell).body
            nodes = [node for statement in body for node in ast.walk(statement)]
            for statement in body:
                call = statement.value if isinstance(statement, ast.Expr) else None
                if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "expect"):
                    found.append(f"cell {number} does more than expect: {ast.unparse(statement)[:60]}")
            unplain = {type(node).__name__ for node in nodes if not isinstance(node, PLAIN)}
            unplain |= {name for statement in body for name in calls(statement)} - TO_ONE_NUMBER - {"expect"}
            if unplain:
                found.append(f"cell {number} computes in its claims: {', '.join(sorted(unplain))}")
    return found


def figures_fit_nothing(notebook):
    fits = {"fit", "fit_transform", "fit_predict", "train", "train_on_batch", "compile"}
    found = []
    for number, cell in code(notebook):
        if is_folded(cell) and (fitted := fits & set(calls(parse(cell)))):
            found.append(f"cell {number} is folded and calls {', '.join(sorted(fitted))}")
    return found


def figures_are_described(notebook):
    found = []
    for number, cell in code(notebook):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if images(cell) and len(alt) < SHORTEST_ALT_TEXT:
            found.append(f"cell {number}: its figure has {len(alt)} characters of alternative text")
        if len(images(cell)) > 1:
            found.append(f"cell {number} shows {len(images(cell))} figures, and has room for one alternative text")
    return found


def prose_is_short(notebook):
    """Lessons with much that is optional may have a little more to say."""
    number = re.match(r"# (\d\d)", notebook.cells[0].source)
    limit = WORDS_OF_A_LONG_LESSON.get(number and number[1], WORDS_A_LESSON)
    words = reading_time.count_words(notebook, prose_only=True)
    return [f"{words} words, at most {limit}"] if words > limit else []


def reading_time_is_honest(notebook):
    stated = re.search(r"[Rr]eading time (?:about )?(\d+) minutes", notebook.cells[0].source)
    if stated is None:
        return ["the first cell states no reading time"]
    needed = reading_time.minutes(notebook)
    return [] if int(stated[1]) == needed else [f"the first cell says {stated[1]} minutes, it takes {needed}"]


def predictions_are_answered(notebook):
    """An answer stands between each Predict and the next one, or the next section."""
    found, open_question = [], None
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        if "answer" in tags(cell):
            open_question = None
        for match in re.finditer(r"(?m)\*\*Predict|^## |<summary>Answer", cell.source):
            if match[0] == "<summary>Answer":
                open_question = None
            else:
                if open_question is not None:
                    found.append(f"cell {open_question} asks for a prediction that is not answered")
                open_question = number if match[0] == "**Predict" else None
    return found + ([f"cell {open_question} asks for a prediction that is not answered"] if open_question else [])


def sections_stand_alone(notebook):
    """A section uses names of Setup, of its own, and of those that its first sentence or Setup says to run."""
    parts = sections(notebook)
    defined = {number: NameCheck().visit(cells)[0] for number, _, cells in parts}
    shared = defined.get("Setup", set())
    if any(title == "Setup" and "Every section needs Setup and section 1" in text for title, text, _ in parts):
        shared = shared | defined.get("1", set())
    found = []
    for number, text, cells in parts:
        known = shared | set().union(*(defined.get(other, set()) for other in to_run_first(text, defined)))
        missing = sorted(NameCheck(known).visit(cells)[1])
        if missing:
            found.append(f"section {number} uses {', '.join(missing)} of another section")
    return found


def sections(notebook):
    """Split a notebook at its headings of level 2: number or title, text, sources of the code cells."""
    parts = [["Setup", "", []]]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts[-1][2].append(parse(cell))
            continue
        for piece in re.split(r"(?m)^(?=## )", cell.source):
            if heading := re.match(r"## (?:(\d+)\b.*|(.*))\n?", piece):
                title = heading[1] or heading[2].strip()
                # What stands before the setup belongs to it.
                parts.append([title, piece[heading.end() :], []])
            else:
                parts[-1][1] += "\n" + piece
    merged = {}
    for title, text, cells in parts:
        before = merged.get(title, ("", []))
        merged[title] = (before[0] + text, before[1] + cells)
    return [(title, text, cells) for title, (text, cells) in merged.items()]


def to_run_first(text, defined):
    """Return the sections that the first paragraph says to run, as in "Run sections 2 to 4 first"."""
    first = text.strip().split("\n\n")[0]
    if re.search(r"[Rr]un (all|the sections above|everything above|the whole notebook)\b", first):
        return list(defined)
    named = re.search(r"[Rr]un sections? ([\d, and to]+?) first", first)
    if named is None:
        return []
    ranges = re.sub(r"(\d+) to (\d+)", lambda m: " ".join(map(str, range(int(m[1]), int(m[2]) + 1))), named[1])
    return re.findall(r"\d+", ranges)


class NameCheck:
    """Follow the statements of a section: which names they define, and which they use before anything defines them."""

    def __init__(self, known=()):
        self.known, self.missing, self.later = {*known, *dir(builtins), "display", "get_ipython"}, set(), set()
        self.defined = set()

    def visit(self, trees):
        for tree in trees:
            self.block(tree.body)
        # Functions look their names up when they are called.
        self.missing |= self.later - self.known
        return self.defined, self.missing

    def define(self, names):
        self.defined |= names
        self.known |= names

    def block(self, body):
        for statement in body:
            if isinstance(statement, ast.For):
                self.use(ast.Expr(statement.iter))
                self.use(ast.Assign([statement.target], ast.Constant(0), lineno=1))
            elif isinstance(statement, ast.If | ast.While):
                self.use(ast.Expr(statement.test))
            elif isinstance(statement, ast.With):
                for item in statement.items:
                    self.use(ast.Expr(item.context_expr))
                    if item.optional_vars:
                        self.use(ast.Assign([item.optional_vars], ast.Constant(0), lineno=1))
            elif not isinstance(statement, ast.Try):
                self.use(statement)
                continue
            self.block(getattr(statement, "body", []))
            for handler in getattr(statement, "handlers", []):
                if handler.type:
                    self.use(ast.Expr(handler.type))
                self.define({handler.name} - {None})
                self.block(handler.body)
            self.block(getattr(statement, "orelse", []))
            self.block(getattr(statement, "finalbody", []))

    def use(self, statement):
        """Take a statement without a body of its own: first what it uses, then what it defines."""
        table = symtable.symtable(ast.unparse(ast.fix_missing_locations(statement)), "cell", "exec")
        symbols = table.get_symbols()
        walrus = {node.target.id for node in ast.walk(statement) if isinstance(node, ast.NamedExpr)}
        used = {s.get_name() for s in symbols if s.is_referenced()} - walrus
        inner = set().union(*map(globals_of, table.get_children()))
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            self.later |= inner
        else:
            used |= inner
        self.missing |= used - self.known
        self.define({s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()})


def globals_of(table):
    """Return the global names that a function, a lambda or a comprehension refers to."""
    own = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return own.union(*map(globals_of, table.get_children()))


CHECKS = [
    kinds_of_cells,
    lengths_of_cells,
    claims_are_few,
    claims_compute_nothing,
    figures_fit_nothing,
    figures_are_described,
    prose_is_short,
    reading_time_is_honest,
    predictions_are_answered,
    sections_stand_alone,
]
