"""Prints the versions that the image is made of: what pip chooses now for all extras.

python3.11 tests/image/constraints.py > constraints.txt
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """\
# Versions of what the image is made of, for all extras. Write them anew with
#   python3.11 tests/image/constraints.py > constraints.txt
"""


def chosen(*wanted: str) -> list[str]:
    """Return what pip would install."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--quiet", "--report", "-", *wanted]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    found = [one["metadata"] for one in report["install"]]
    return [f"{one['name'].lower().replace('_', '-')}=={one['version']}" for one in found]


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = ",".join(project["project"]["optional-dependencies"])
    lines = {*chosen(f"{ROOT}[{extras}]"), *chosen("hatchling", "setuptools", "wheel")}
    print(HEAD + "\n".join(sorted(one for one in lines if not one.startswith("tocsin=="))))
