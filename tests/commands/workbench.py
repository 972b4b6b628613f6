"""A study with a handful of steps, and how tests run verbs on it: in this process or in one of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from config.studies import ROOT, changed, tiny_document

from titok.cli import main
from titok.config.load import load_study
from titok.config.targets import Targets

BRIEF = {"steps": 4, "log_every": 2, "schedule": {"warmup_steps": 1}}


def bench_document() -> dict[str, Any]:
    """The small study of tests/workflow, cut down to one thing of each kind and a few steps."""
    document = tiny_document()
    stage2 = changed(document["tokenizers"]["b2-final"]["stage2"], "training.steps", 4)
    stage2 = changed(stage2, "losses.adversarial.start_step", 2)
    shared = {"encoder": "b", "decoder": "b", "num_latent_tokens": 2}
    document |= {
        "study": "bench",
        "seeds": [0],
        "tokenizers": {
            "two": {**shared, "stage2": stage2},
            "one": {**shared, "recipe": "single_stage", "single_stage": stage2},
        },
        "generators": {"g": {"tokenizer": "two"}},
        "samplers": {"two-steps": {}},
        "reporting": {
            "tables": {
                "table1": {
                    "rows": [
                        {"label": "Two", "tokenizer": "two", "generator": "g", "sampler": "two-steps"},
                        {"label": "VQGAN", "tokenizer": "vqgan"},
                    ]
                }
            },
            "figures": {
                "training_curves": [{"label": "g", "generator": "g"}],
                "reconstructions": {"num_images": 4, "rows": [{"label": "Two", "tokenizer": "two"}]},
                "samples": {"generator": "g", "sampler": "two-steps", "per_class": 2},
            },
            "checks": {"enabled": False},
        },
    }
    for key in ("defaults.classifier", "defaults.tokenizer.stage1", "defaults.generator", "vqgan"):
        for name, value in BRIEF.items():
            document = changed(document, f"{key}.training.{name}", value)
    # Enough for codes and samples that differ.
    document = changed(document, "vqgan.training.steps", 40)
    document = changed(document, "defaults.tokenizer.stage1.training.steps", 40)
    document = changed(document, "dataset.test_images", 100)
    document = changed(document, "evaluation.num_samples", 80)
    return changed(document, "probe.steps", 4)


class Workbench:
    """Runs verbs and knows where their files are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.study_file = root / "study.yaml"
        self.study_file.write_text(yaml.safe_dump(bench_document(), sort_keys=False))
        self.targets = Targets(load_study(self.study_file))
        self.test_data = root / "data" / "test.index.npz"
        self.train_data = root / "data" / "train.index.npz"

    def config(self, kind: str, name: str = "all") -> Path:
        """The resolved settings of a job, as `titok resolve` writes them."""
        path = self.root / "configs" / kind / f"{name}.yaml"
        if not path.exists():
            self.run("resolve", self.study_file, kind, name, output=path)
        return path

    def model(self, name: str) -> Path:
        return self.root / "models" / name / "model.safetensors"

    def run(self, *words: object, **options: object) -> None:
        """`titok WORD ... --option value`, in this process."""
        main(command(*words, **options))

    def refusal(self, *words: object, **options: object) -> str:
        """The message with which a command ends with status 1."""
        with pytest.raises(SystemExit) as caught:
            self.run(*words, **options)
        assert isinstance(caught.value.code, str), "a message, which Python prints before it exits with status 1"
        return caught.value.code

    def train(self, task: str, model: str, config: tuple[str, str], **options: object) -> None:
        state = self.root / "state" / model
        self.run("train", task, config=self.config(*config), output=self.model(model), state=state, seed=0, **options)


def command(*words: object, **options: object) -> list[str]:
    """A command line; lists become several values."""
    line = [str(word) for word in words]
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        line += [f"--{name}", *map(str, values)]
    return line


def titok(*line: str, code: str | None = None, **options: Any) -> subprocess.Popen[str]:
    """`python -m titok ...` as a process of its own, on one thread."""
    start = [sys.executable, *(("-c", code) if code else ("-m", "titok")), *line]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(start, env=environment, **pipes, **options)


def record(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
