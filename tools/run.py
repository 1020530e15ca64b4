"""Run the notebooks into build/notebooks, and build the site from there."""

import shutil
import subprocess
import sys

import nbformat
from execute import BUILD, NOTEBOOKS, ROOT, arguments, execute_each, find_notebooks

COPIES, SITE = BUILD / "notebooks", BUILD / "site"
BUILD_SITE = ROOT / "tools" / "build_site.py"


def run(only):
    """Run the chosen notebooks; those left out stand on the site as they are stored."""
    chosen, failed = find_notebooks(only), 0
    shutil.rmtree(COPIES, ignore_errors=True)
    for path in find_notebooks():
        copy_of(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy_of(path))
    for path, notebook, problem in execute_each(chosen):
        failed += bool(problem)
        nbformat.write(notebook, copy_of(path))
    if failed:
        print(f"\n{failed} of {len(chosen)} failed.")
    if BUILD_SITE.exists():
        command = [sys.executable, BUILD_SITE, "--notebooks", COPIES, "--output", SITE]
        failed += subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


def copy_of(path):
    return COPIES / path.relative_to(NOTEBOOKS)


if __name__ == "__main__":
    sys.exit(run(arguments(__doc__).parse_args().only))
