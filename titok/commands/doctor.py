"""``titok doctor``: is this installation whole, and does it compute what the released code computes?

No torch here: a doctor that needs everything installed could not say what is missing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from titok.commands.doctor_finding import Finding
from titok.runtime.arithmetic import abilities

DISTRIBUTION = "titok-suite"
LOCK = Path(__file__).parents[2] / "requirements.lock"


def doctor(options: argparse.Namespace) -> None:
    """Prints every finding; exit status 1 if one of them failed."""
    findings = list(_findings(options))
    failed = sum(finding.status == "fail" for finding in findings)
    if options.json:
        print(json.dumps({"ok": failed == 0, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            print(f"{finding.status:4}  {finding.check:{width}}  {finding.detail}")
        print(f"\n{failed} of {len(findings)} checks failed" if failed else "\nThis installation is in order")
    if failed:
        sys.exit(1)


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield Finding("arithmetic", "ok" if abilities().startswith("portable") else "warn", abilities())
    packages = check_packages()
    yield packages
    if packages.status == "fail":
        yield Finding("numbers", "fail", "not looked at; they need these packages")
        return
    yield check_lock(LOCK)
    from titok.commands.doctor_numbers import numbers

    yield from numbers(options)


def check_packages(distribution: str = DISTRIBUTION, installed: Callable[[str], str] = version) -> Finding:
    """Every package that this one needs is there in a version that it allows."""
    try:
        wanted = [Requirement(text) for text in requires(distribution) or ()]
    except PackageNotFoundError:
        return Finding("packages", "fail", f"{distribution} is not installed; run `pip install -e .` in its checkout")
    needed = [entry for entry in wanted if entry.marker is None or entry.marker.evaluate({"extra": ""})]
    problems = []
    for entry in needed:
        try:
            found = installed(entry.name)
        except PackageNotFoundError:
            problems.append(f"{entry.name} is missing ({entry.specifier} needed)")
            continue
        if not entry.specifier.contains(found, prereleases=True):
            problems.append(f"{entry.name} is {found}, {entry.specifier} needed")
    if problems:
        return Finding("packages", "fail", "; ".join(problems))
    return Finding("packages", "ok", f"all {len(needed)} needed ones, torch {installed('torch')}")


def check_lock(lock: Path, installed: Callable[[str], str] = version) -> Finding:
    """Which packages have another version than the one everything was tested with."""
    if not lock.is_file():
        return Finding("lock", "warn", f"{lock.name} is not beside the package; tested versions are unknown")
    direct = {canonicalize_name(Requirement(text).name) for text in requires(DISTRIBUTION) or ()}
    differing = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" not in line or line.startswith((" ", "#")):
            continue
        pin = Requirement(line.rstrip(" \\"))
        if canonicalize_name(pin.name) not in direct or (pin.marker and not pin.marker.evaluate()):
            continue
        try:
            found = installed(pin.name)
        except PackageNotFoundError:
            continue  # optional, or told by `check_packages`
        if not pin.specifier.contains(found, prereleases=True):
            differing.append(f"{pin.name} {found} instead of {next(iter(pin.specifier)).version}")
    if differing:
        return Finding("lock", "warn", f"not the tested versions: {', '.join(differing)}")
    return Finding("lock", "ok", "the tested versions")
