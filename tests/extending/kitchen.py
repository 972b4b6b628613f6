"""Where recipes are followed: a copy of the project of its own for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from extending.recipes import ROOT, Recipe


def copy_with(recipe: Recipe, folder: Path) -> Path:
    """A copy of the package, with the recipe followed."""
    for name in ("titok", "config", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copyfile(ROOT / name, folder / name)
    recipe.cook(folder)
    return folder


def run(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def titok(folder: Path, *lines: list[str]) -> str:
    """`titok WORD...` for each line, one after the other in one process: starting takes longer than most do."""
    code = "import json, sys; from titok.cli import main; [main(line) for line in json.loads(sys.argv[1])]"
    return run(folder, "-c", code, json.dumps(lines))
