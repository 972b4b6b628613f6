"""Who may import whom in titok, read from the source, and what stays out of memory until it is needed.

Run: pytest tests/test_import_direction.py
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "titok"

MAY_IMPORT: dict[str, set[str]] = {
    "config": {"runtime.arithmetic", "runtime.sums"},
    "runtime": set(),
    "metrics": {"records", "runtime"},
    "models": {"config", "runtime"},
    "data": {"config", "runtime"},
    "losses": {"config", "models", "runtime"},
    "generation": {"config", "models.token_space", "runtime"},
    "training": {"config", "data", "generation", "losses", "models", "runtime"},
    "evaluation": {"config", "data", "generation", "metrics", "models", "records", "runtime"},
    "records": {"runtime"},
    "reporting": {"records", "runtime"},
    "planning": {"config", "generation.per_step", "models", "reporting", "runtime", "training"},
}
"""Part -> what it may import beside itself and `errors`; `commands`, `cli` and `__main__` hold everything together."""

MOST_LATE_IMPORTS = 19
"""Imports of titok inside its functions; nearly all let a verb start without torch, none hides a circle."""

FREE = {"commands", "cli", "errors", "__main__", "__init__"}

ONLY_FOR_TYPES = {("reporting", "config")}
"""Allowed inside `if TYPE_CHECKING:` alone."""


def titok_imports(tree: ast.AST, for_types: bool = False) -> Iterator[tuple[str, bool]]:
    """(module below titok, whether only type checkers see it) of every import, also those inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the direction"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            yield from titok_imports(node, for_types or guarded)
            continue
        yield from ((name.removeprefix("titok."), for_types) for name in names if name.startswith("titok."))


def forbidden(part: str, source: str) -> list[str]:
    """Imports of a module of ``part`` that go against the table."""
    found = []
    for name, for_types in titok_imports(ast.parse(source)):
        other = name.split(".")[0]
        if other in {part, "__version__", "errors"}:
            continue
        if any(name == allowed or name.startswith(f"{allowed}.") for allowed in MAY_IMPORT[part]):
            continue
        if not (for_types and (part, other) in ONLY_FOR_TYPES):
            found.append(name)
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if part_of(path) not in FREE)


def test_every_part_is_in_the_table() -> None:
    assert {part_of(path) for path in PACKAGE.rglob("*.py")} - FREE == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_what_their_part_may(path: Path) -> None:
    assert forbidden(part_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("part", "source", "found"),
    [
        ("training", "from titok.evaluation.reference import Reference", ["evaluation.reference.Reference"]),
        ("config", "def late():\n    import titok.models.vqgan", ["models.vqgan"]),
        ("generation", "from titok.models import token_space", []),
        ("generation", "from titok.models.vqgan import VQGAN", ["models.vqgan.VQGAN"]),
        ("reporting", "if TYPE_CHECKING:\n    from titok.config.rows import Row", []),
        ("reporting", "from titok.config.rows import Row", ["config.rows.Row"]),
        ("runtime", "if TYPE_CHECKING:\n    from titok.config.rows import Row", ["config.rows.Row"]),
        ("runtime", "from titok import __version__", []),
        ("runtime", "from titok.errors import TitokError", []),
    ],
)
def test_the_check_itself(part: str, source: str, found: list[str]) -> None:
    assert forbidden(part, source) == found


def imports_by_module(package: Path) -> dict[str, set[str]]:
    """Module below ``package`` -> the modules there that it imports, also inside functions or only for types."""
    files = {".".join(path.relative_to(package).with_suffix("").parts): path for path in package.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        names = {name for name, _ in titok_imports(ast.parse(path.read_text()))}
        found[module] = {part for name in names for part in (name, name.rpartition(".")[0]) if part in files} - {module}
    return found


def circles(imports: dict[str, set[str]]) -> set[str]:
    """Modules that import each other, and what stands between such: what is left when all others are taken away."""
    left = dict(imports)
    while ends := [module for module, others in left.items() if not others & left.keys()]:
        for module in ends:
            del left[module]
    while beginnings := left.keys() - {other for others in left.values() for other in others}:
        for module in beginnings:
            del left[module]
    return set(left)


def late_imports(source: str) -> int:
    """How often functions of a module import from titok."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return len({name for function in functions for name, _ in titok_imports(function)})


def test_no_modules_import_each_other() -> None:
    assert circles(imports_by_module(PACKAGE)) == set()


def test_circles_are_found() -> None:
    chain = {"a": {"b"}, "b": {"c"}, "c": set()}
    assert circles(chain) == set()
    assert circles({**chain, "c": {"b"}, "d": {"b"}}) == {"b", "c"}


def test_imports_inside_functions_become_fewer() -> None:
    assert sum(late_imports(path.read_text()) for path in PACKAGE.rglob("*.py")) <= MOST_LATE_IMPORTS


HEAVY = "torch", "torchvision", "timm", "torch_fidelity", "sklearn", "tensorboard"

ALL_OF = """
import importlib, pkgutil, sys
for package in sys.argv[1:]:
    package = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."):
        importlib.import_module(module.name)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def loaded_by(code: str, *arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()) & set(HEAVY)


def test_settings_reporting_and_their_verbs_never_load_torch() -> None:
    verbs = ("study", "report", "compare", "doctor", "file_verbs")
    light = "titok.config", "titok.reporting", "titok.cli", *(f"titok.commands.{verb}" for verb in verbs)
    assert loaded_by(ALL_OF, *light) == set()


@pytest.mark.parametrize("arguments", ["['--help']", "['train', '--help']", "['check', 'config/digits.yaml']"])
def test_help_and_check_never_load_torch(arguments: str) -> None:
    code = f"""
import sys
from titok.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print(*{{name.partition('.')[0] for name in sys.modules}})
"""
    assert loaded_by(code) == set()


def test_jobs_load_torch_and_none_of_the_slow_packages() -> None:
    """Torchvision, timm and torch-fidelity cost two seconds; a study starts hundreds of jobs that need none of them."""
    everything = "titok.models", "titok.losses", "titok.metrics", "titok.training", "titok.evaluation", "titok.commands"
    assert loaded_by(ALL_OF, *everything) == {"torch"}
