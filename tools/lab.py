"""Open the series in JupyterLab, at its start page: ``python tools/lab.py``, or with another folder behind it."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START = "START_HERE.md"


def command(folder, *more):
    """Return the command that opens JupyterLab in a folder, and the environment that it needs."""
    line = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}"]
    if (Path(folder) / START).exists():
        line.append(f"--LabApp.default_url=/lab/tree/{START}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        line.append("--allow-root")  # JupyterLab asks root to say that root is meant
    # Its settings: pages open as pages, and it asks nobody about its news.
    paths = [str(ROOT / "tools" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}
    return [*line, *more], environment


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=ROOT / "notebooks", type=Path, help="folder to open")
    args, more = parser.parse_known_args()
    folder = args.folder.resolve()
    if not folder.is_dir():
        parser.error(f"{args.folder} is not a folder; make workshop writes build/workshop")
    line, environment = command(folder, *more)
    try:
        return subprocess.run(line, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
