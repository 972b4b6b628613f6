"""pyproject.toml, requirements.lock, environment.yml and the Makefile describe one and the same environment.

Run: pytest tests/test_environment.py
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
REPAIR = "run `make lock`"


def locked_entries() -> list[tuple[Requirement, int]]:
    """(requirement, number of hashes) of every entry of the lock."""
    entries = []
    for entry in LOCK.replace("\\\n", " ").splitlines():
        text, *hashes = entry.split("--hash=")
        if text.strip():
            entries.append((Requirement(text.strip()), len(hashes)))
    return entries


ENTRIES = locked_entries()
WANTED = [Requirement(text) for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_the_lock_satisfies_every_dependency(wanted: Requirement) -> None:
    pins = [entry for entry, _ in ENTRIES if canonicalize_name(entry.name) == canonicalize_name(wanted.name)]
    assert pins, f"{wanted} is not in requirements.lock; {REPAIR}"
    for pin in pins:
        (pinned,) = pin.specifier
        assert wanted.specifier.contains(pinned.version), f"{pin} does not satisfy {wanted}; {REPAIR}"


def test_every_entry_is_one_version_with_hashes() -> None:
    assert len(ENTRIES) > 50
    for entry, hashes in ENTRIES:
        assert [pin.operator for pin in entry.specifier] == ["=="], f"{entry} is not pinned; {REPAIR}"
        assert hashes > 0, f"{entry} has no hash; {REPAIR}"


def test_the_lock_names_no_registry_and_no_path() -> None:
    """Whoever installs chooses the registry; addresses and paths of one machine do not work on another."""
    assert "://" not in LOCK
    assert re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|-e|--editable)\b", LOCK, re.MULTILINE) is None
    assert re.search(r"(^|\s)(\.{0,2}/|file:)", LOCK) is None
    assert all(entry.url is None for entry, _ in ENTRIES)


def test_the_lock_does_not_hold_the_project_itself() -> None:
    assert canonicalize_name(PROJECT["name"]) not in {canonicalize_name(entry.name) for entry, _ in ENTRIES}


def test_this_very_environment_is_the_locked_one() -> None:
    differing = {
        entry.name: version(entry.name)
        for entry, _ in ENTRIES
        if (entry.marker is None or entry.marker.evaluate())
        and canonicalize_name(entry.name) in {canonicalize_name(wanted.name) for wanted in WANTED}
        and version(entry.name) not in entry.specifier
    }
    assert not differing, "installed versions differ from the lock; install it again (rm .venv/.installed; make test)"


def test_conda_users_get_the_same() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    dependencies = environment["dependencies"]
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert pip == ["--requirement requirements.lock"]
    names = [Requirement(re.sub(r"(?<![=<>])=(?!=)", "==", entry)) for entry in dependencies if isinstance(entry, str)]
    assert {entry.name for entry in names} == {"python", "pip"}, "packages come from the lock alone"
    (python,) = [entry for entry in names if entry.name == "python"]
    (pin,) = python.specifier
    assert SpecifierSet(PROJECT["requires-python"]).contains(pin.version)


def test_the_makefile_asks_for_the_python_of_pyproject() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (lowest,) = SpecifierSet(PROJECT["requires-python"])
    major, minor = lowest.version.split(".")
    assert f"sys.version_info < ({major}, {minor})" in makefile
    assert "--require-hashes -r requirements.lock" in makefile
    assert "$(VENV)/.installed: requirements.lock pyproject.toml" in makefile


def test_one_version_everywhere() -> None:
    import titok

    assert PROJECT["version"] == titok.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == titok.__version__
