"""The net under a change of structure: what every job of every study is told, and what Snakemake would run.

`tests/golden/net.json` keeps digests of it. A change that is meant to move nothing leaves that file as it is; one that
is meant to move something makes it anew, and its diff says how much moved.

    python tests/net.py write               # make tests/golden/net.json anew
    python tests/net.py compare OLD NEW     # two checkouts: every setting, file and command line that differs
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from titok.config.jobs import job, job_names
from titok.config.load import dump_yaml, load_study
from titok.runtime.sums import sha256_json

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "net.json"
STUDIES = {
    str(path.relative_to(ROOT)): path
    for folder in ("config", "tests/workflow")
    for path in sorted((ROOT / folder).glob("*.yaml"))
    if re.search(r"^study:", path.read_text(encoding="utf-8"), re.MULTILINE)
}
"""Name below the checkout -> study file."""

HOW = "moved on purpose? then `python tests/net.py write`; `python tests/net.py compare OLD NEW` says what moved"

PLANNING = ("--dry-run", "--printshellcmds", "--cores", "4", "--resources", "gpus=0")
"""Of a machine of 4 cores without GPUs, whatever this one has, for command lines hold what a job gets."""

_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)Shell command: (.*)$", re.MULTILINE)
_TOLD = re.compile(r"^    (?:input|output): .*$", re.MULTILINE)


def settings(path: Path) -> dict[str, dict[str, str]]:
    """Job, as `kind/name` -> the fingerprint that decides whether it runs again, and its document."""
    study = load_study(path)
    found = {}
    for kind, name in job_names(study):
        section = job(study, kind, name)
        found[f"{kind}/{name}"] = {"fingerprint": sha256_json(section.identity()), "document": dump_yaml(section)}
    return found


def graph(path: Path) -> dict[str, list[str]]:
    """Rule -> its jobs on an empty disk, each as the files it reads and writes and its command line."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config").symlink_to(ROOT / "config")
        shutil.copyfile(path, Path(folder) / path.name)
        line = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", "."]
        line += [*PLANNING, "--config", f"study={path.name}"]
        done = subprocess.run(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"Snakemake cannot plan {path}:\n{done.stdout[-3000:]}")
    return read_graph(done.stdout)


def read_graph(said: str) -> dict[str, list[str]]:
    """The same from what Snakemake said."""
    found: dict[str, list[str]] = {}
    for rule, block, command in _JOB.findall(said.replace(str(ROOT), "CHECKOUT")):
        lines = [told.strip() for told in _TOLD.findall(block)]
        found.setdefault(rule, []).append("\n".join([*lines, command]))
    return {rule: sorted(jobs) for rule, jobs in sorted(found.items())}


def settings_digests(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """`fingerprint document`, each as the start of a SHA-256."""
    return {name: f"{told['fingerprint'][:12]} {_digest(told['document'])}" for name, told in found.items()}


def graph_digests(found: Mapping[str, list[str]]) -> dict[str, str]:
    """`number of jobs, digest of them`."""
    return {rule: f"{len(jobs)} {_digest(chr(10).join(jobs))}" for rule, jobs in found.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def golden() -> dict[str, dict[str, dict[str, str]]]:
    """Study -> `settings` and `graph`, as stored."""
    stored: dict[str, dict[str, dict[str, str]]] = json.loads(GOLDEN.read_text())
    return stored


def everything() -> dict[str, dict[str, Any]]:
    """Study -> `settings` and `graph`, in full."""
    return {name: {"settings": settings(path), "graph": graph(path)} for name, path in STUDIES.items()}


def write() -> None:
    """Makes the stored digests anew."""
    digests = {
        name: {"settings": settings_digests(found["settings"]), "graph": graph_digests(found["graph"])}
        for name, found in everything().items()
    }
    GOLDEN.write_text(json.dumps(digests, indent=1) + "\n")


def of_checkout(checkout: Path) -> dict[str, dict[str, Any]]:
    """What another checkout's own copy of this file finds there."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    line = [sys.executable, str(checkout / "tests" / "net.py"), "show"]
    done = subprocess.run(line, env=environment, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Lines of a unified diff for every study, job and rule in which two checkouts differ."""
    before, after = _flat(old), _flat(new)
    found: list[str] = []
    for key in sorted(before.keys() | after.keys()):
        texts = before.get(key, ""), after.get(key, "")
        lines = (text.splitlines() for text in texts)
        found += difflib.unified_diff(*lines, f"old {key}", f"new {key}", n=0, lineterm="")
    return found


def _flat(found: Mapping[str, Any]) -> dict[str, str]:
    flat = {}
    for study, parts in found.items():
        for name, told in parts["settings"].items():
            flat[f"{study} {name}"] = f"fingerprint {told['fingerprint']}\n{told['document']}"
        for rule, jobs in parts["graph"].items():
            flat[f"{study} rule {rule}"] = "\n".join(jobs)
    return flat


def main() -> int:
    """The two commands above; `show` prints everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("write", help="make the stored digests anew")
    verbs.add_parser("show", help="print everything as JSON")
    compare = verbs.add_parser("compare", help="say in what two checkouts differ")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    options = parser.parse_args()
    if options.verb == "write":
        write()
    elif options.verb == "show":
        json.dump(everything(), sys.stdout)
    else:
        found = differences(*(of_checkout(checkout.resolve()) for checkout in (options.old, options.new)))
        print("\n".join(found) or "no difference")
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
