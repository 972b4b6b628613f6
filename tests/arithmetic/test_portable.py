"""The same bits everywhere: ten steps of every task against committed numbers, here and on emulated processors.

After a change that is meant to alter numbers: ``python tests/arithmetic/every_task.py FOLDER``, then ``titok numbers
FOLDER --output tests/golden/portable/ten-steps.csv --overwrite``; `make portable` says whether other processors agree.
"""

from __future__ import annotations

import ast
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from arithmetic.every_task import CPUS, every_task
from golden.rule import HERE

from titok.cli import main

ROOT = Path(__file__).parents[2]
COMMITTED = HERE / "portable" / "ten-steps.csv"
BY_MKL = {"sqrt", "sqrt_", "cdist", "pdist", "acos", "arccos", "asin", "arcsin", "atan", "arctan", "tan", "log10"}
"""What MKL's vector library computes for torch (and ``log`` of float64), with other bits where there is AVX-512."""


def numbers(path: Path) -> list[str]:
    """The rows of a file of numbers, without the comments about its origin."""
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def require_the_committed(results: Path) -> None:
    main(["numbers", str(results), "--output", str(results.parent / "found.csv")])
    expected, found = numbers(COMMITTED), numbers(results.parent / "found.csv")
    assert len(expected) > 40
    assert found == expected


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the numbers are those of x86-64")
def test_every_task_has_the_committed_numbers(tmp_path: Path) -> None:
    every_task(tmp_path / "ten-steps")
    require_the_committed(tmp_path / "ten-steps")


@pytest.mark.emulated
@pytest.mark.parametrize("cpu", CPUS)
def test_emulated_processors_have_the_committed_numbers(cpu: str, tmp_path: Path) -> None:
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("qemu-x86_64 is not installed (Debian's package qemu-user)")
    program = [emulator, "-cpu", cpu, sys.executable, str(ROOT / "tests/arithmetic/every_task.py")]
    done = subprocess.run([*program, str(tmp_path / "ten-steps")], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    require_the_committed(tmp_path / "ten-steps")


def attributes(tree: ast.AST) -> set[tuple[str, int]]:
    """(name, line) of everything that is called as a method or a function of a module other than numpy and math."""
    return {
        (node.func.attr, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "math"))
    }


@pytest.mark.parametrize("part", ["metrics", "evaluation", "generation", "training", "models", "losses", "data"])
def test_nothing_is_left_to_the_vector_library(part: str) -> None:
    """What numbers depend on takes these functions from titok.runtime.elementwise."""
    for path in sorted((ROOT / "titok" / part).rglob("*.py")):
        found = {(name, line) for name, line in attributes(ast.parse(path.read_text())) if name in BY_MKL}
        assert not found, f"{path}: {found}; use titok.runtime.elementwise"


def test_the_search_would_find_them() -> None:
    found = attributes(ast.parse("a.sqrt()\ntorch.cdist(a, b)\nnp.sqrt(c)\nmath.sqrt(d)"))
    assert {name for name, _ in found} & BY_MKL == {"sqrt", "cdist"}


def test_verbs_compute_as_their_settings_say_and_overrule_the_environment(tmp_path: Path) -> None:
    """A process of its own, whose user asked MKL for something else."""
    study = ROOT / "tests/arithmetic/ten_steps.yaml"
    for kind in ("data", "classifier"):
        name = "all" if kind == "data" else "judge"
        main(["resolve", str(study), kind, name, "--output", str(tmp_path / f"{kind}.yaml")])
    main(["prepare", "--config", str(tmp_path / "data.yaml"), "--output", str(tmp_path / "data")])
    words = [
        "train",
        "classifier",
        "--config",
        tmp_path / "classifier.yaml",
        "--seed",
        "0",
        "--state",
        tmp_path / "state",
    ]
    words += ["--data", tmp_path / "data/train.index.npz", "--output", tmp_path / "judge/model.safetensors"]
    environment = {key: value for key, value in os.environ.items() if key not in ("MKL_CBWR", "OMP_NUM_THREADS")}
    environment |= {"MKL_CBWR": "AVX2", "NPY_DISABLE_CPU_FEATURES": "X86_V3", "OMP_NUM_THREADS": "2"}
    line = [sys.executable, "-m", "titok", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "titok: MKL_CBWR is 'AVX2', which arithmetic: portable sets to 'COMPATIBLE'" in done.stderr
    assert "titok: NPY_DISABLE_CPU_FEATURES is 'X86_V3', which arithmetic: portable takes away" in done.stderr
    assert '"arithmetic": "portable"' in (tmp_path / "judge/manifest.json").read_text()
