"""A folder in which the project's Snakefile works on its own results, so that nothing in the checkout is touched."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from config.studies import ROOT, TINY, study_of, tiny_document
from workflow.forks import forked

from titok.config.targets import Targets
from titok.runtime.fork_server import ADDRESS

WITHOUT_TORCH = ROOT / "tests" / "workflow" / "without_torch"
"""Stand-ins of torch and its like, which raise an error when they are imported."""


class Done(NamedTuple):
    """How a command ended, and everything it said."""

    status: int
    said: str


class Sandbox:
    """A working directory with `config/` as in the checkout and a study file of its own, `tiny.yaml`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results" / "tiny"
        self.study_file = folder / "tiny.yaml"
        self.targets = Targets(study_of(tiny_document()))

    @classmethod
    def new(cls, folder: Path) -> Sandbox:
        """A sandbox in which nothing was run yet."""
        (folder / "config").symlink_to(ROOT / "config")
        shutil.copyfile(TINY, folder / "tiny.yaml")
        return cls(folder)

    def copy(self, folder: Path) -> Sandbox:
        """The same once more, times of files and Snakemake's memory included, for tests that break something."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Sandbox(folder)

    def write_study(self, document: dict[str, Any]) -> None:
        """Another content for the same study file."""
        self.study_file.write_text(yaml.safe_dump(document, sort_keys=False))

    def snakemake(self, *words: object, **options: Any) -> Done:
        """`snakemake WORD...` here, to its end, in a process of its own."""
        process = self.start(*words, **options)
        try:
            said, _ = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # else it goes on with nobody to read it, and so do its jobs
            print(process.communicate(timeout=60)[0])
            raise
        print(said)
        return Done(process.returncode, said)

    def dry_run(self, *words: object, study: str | None = "tiny.yaml") -> Done:
        """`snakemake --dry-run WORD...` here."""
        return self.fork("--dry-run", *words, study=study)

    def fork(self, *words: object, study: str | None = "tiny.yaml") -> Done:
        """`snakemake WORD...` here, to its end, in a fork of a process that has imported Snakemake and cannot torch."""
        with tempfile.NamedTemporaryFile("r") as said:
            line = command_line(*words, study=study)
            status = forked(line, self.folder, self.environment(torch=False), Path(said.name))
            done = Done(status, said.read())
        print(done.said)
        return done

    def start(
        self, *words: object, study: str | None = "tiny.yaml", torch: bool = False, **options: Any
    ) -> subprocess.Popen[str]:
        """`snakemake WORD...` here; without ``torch``, importing it is an error. ``study`` None: none is named."""
        line = [sys.executable, "-m", "snakemake", *command_line(*words, study=study)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(line, cwd=self.folder, env=self.environment(torch), **pipes, **options)

    def environment(self, torch: bool) -> dict[str, str]:
        """The environment of `make demo`; without ``torch``, one in which importing it fails."""
        places = [str(ROOT)] if torch else [str(WITHOUT_TORCH), str(ROOT)]
        serverless = {} if torch else {ADDRESS: "off"}  # it would begin by importing torch
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places), **serverless}

    def plan(self, *words: object) -> Plan:
        """What a dry run would do."""
        done = self.dry_run(*words)
        assert done.status == 0, done.said
        return Plan(done.said)


def command_line(*words: object, study: str | None) -> list[str]:
    """What follows `snakemake`, in a sandbox."""
    line = ["--snakefile", str(ROOT / "Snakefile"), "--directory", ".", *map(str, words)]
    if study is not None:
        line += [*([] if "--config" in words else ["--config"]), f"study={study}"]
    return line


class Plan:
    """The jobs of a dry run."""

    def __init__(self, text: str) -> None:
        self.text = text
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", text, re.MULTILINE)
        outputs = [(rule, re.search(r"^    output: (.*)$", block, re.MULTILINE)) for rule, block in blocks]
        self.outputs = {path for _, found in outputs if found for path in found.group(1).split(", ")}
        """Every file that would be written."""
        self.rules = Counter(rule for rule, _ in blocks if rule != "all")
        """How often each rule would run."""

    def jobs(self, rule: str) -> set[str]:
        """Files that jobs of a rule would write."""
        blocks = re.findall(rf"^(?:local)?rule {rule}:\n((?:    .*\n)*)", self.text, re.MULTILINE)
        found = [re.search(r"^    output: (.*)$", block, re.MULTILINE) for block in blocks]
        return {match.group(1).split(", ")[0] for match in found if match}
