"""The scores of a whole shipped study, made up: every record that it plans, near the paper's numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.studies import ROOT, study_of

from titok.commands.subjects import of_generator
from titok.config.load import read_yaml
from titok.config.study import Study
from titok.config.study_models import generator_model
from titok.config.targets import Targets
from titok.config.tokenizer_facts import tokenizer_facts
from titok.records.record import protocol_id, score_record
from titok.reporting.paper import Paper, read_paper

PAPER = ROOT / "config" / "paper.csv"
INCEPTION = {"kind": "inception", "name": "inception-v3-compat", "sha256": "ef" * 32, "dtype": "float64"}
JUDGE = {"kind": "classifier", "name": "judge", "sha256": "ab" * 32, "dtype": "float32"}
A100 = {"type": "cuda", "num_threads": 1, "name": "NVIDIA A100-SXM4-40GB", "tf32": True}
PROVENANCE = {"machine": {"cpu": "Test CPU", "cpus": 2}, "device": {"type": "cuda"}, "packages": {"torch": "2.9.0"}}
TIMED = {
    "sampling_images_per_second": {"timing": "as made", "batch_size": 64, "precision": "fp32"},
    "training_images_per_second": {"devices": 32, "batch_size": 2048, "precision": "bf16"},
}
"""How speeds of samples and trainings were measured, without the device."""
NOISE = 0.002
"""Share of a number by which seeds scatter."""


@dataclass
class _Interval:
    low: float
    high: float
    coverage: float


@dataclass
class Simulated:
    """A study and its records as files."""

    study: Study
    targets: Targets
    root: Path

    @property
    def scores(self) -> list[Path]:
        return sorted((self.root / "scores").rglob("*.json"))

    def change(self, where: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes a record below `scores/`, or every one that a pattern names; ids stay those of the protocols."""
        paths = sorted((self.root / "scores").glob(f"{where}.json"))
        assert paths, f"no record {where}"
        for path in paths:
            record = json.loads(path.read_text())
            change(record)
            record["protocol_id"] = protocol_id(record["protocol"])
            path.write_text(json.dumps(record))

    def set(self, where: str, metric: str, value: float) -> None:
        """A metric's value in all these records."""
        self.change(where, lambda record: record["metrics"][metric].update(value=value))


def simulate(root: Path, name: str, *, seeds: list[int] | None = None) -> Simulated:
    """Writes every record of `config/{name}.yaml` below ``root``; ``seeds`` instead of the study's."""
    document = read_yaml(ROOT / "config" / f"{name}.yaml")
    study = study_of(document | ({"seeds": seeds} if seeds else {}))
    targets = Targets(study)
    made = Simulated(study, targets, root)
    numbers = _Numbers(study, read_paper(PAPER))
    speeds = [
        path
        for generator, entry in study.generators.items()
        for sampler in entry.samplers
        for path in targets.throughput_scores(generator, sampler)
    ]
    for path in dict.fromkeys([*targets.all_scores(), *speeds]):
        parts = Path(path).relative_to(targets.root).with_suffix("").parts[1:]
        record = numbers.record(targets, *parts)
        file = root / "scores" / Path(*parts).with_suffix(".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record))
    return made


def _places(name: str) -> tuple[int, int | None]:
    """Seed and sitting of a record's file: `seed0-sitting2`; 0 and none of `vqgan` and its like."""
    found = dict(re.findall(r"(seed|sitting)(\d+)", name))
    return int(found.get("seed", 0)), int(found["sitting"]) if "sitting" in found else None


class _Numbers:
    """What every subject scores: the paper's number of the row that shows it, else one that falls with K and size."""

    def __init__(self, study: Study, paper: Paper) -> None:
        self.study, self.paper = study, paper
        self.is_imagenet = study.dataset.kind == "imagenet"
        self.rows: dict[tuple[str, str], str] = {}
        tables = study.reporting.tables
        for name in tables.names:
            for row in tables.rows(name):
                if row.paper and row.tokenizer and name != "table4":
                    stage = "vqgan" if row.tokenizer == "vqgan" else row.stage
                    self.rows.setdefault((row.tokenizer, stage), row.paper)
                if row.paper and row.generator and row.sampler:
                    self.rows.setdefault((row.generator, row.sampler), row.paper)
        for cell in tables.table4.cells() if tables.table4 else ():
            row = f"titok-{cell.size}-{cell.k}"
            if self.is_imagenet and row in paper.rows("table4a"):
                self.rows.setdefault((str(cell.row.tokenizer), cell.row.stage), f"table4a/{row}")

    def record(self, targets: Targets, folder: str, *parts: str) -> dict[str, Any]:
        """The record of `folder/...`, as `titok score` writes it."""
        seed, sitting = _places(parts[-1])
        side = self.study.dataset.image_size
        extractor = INCEPTION if self.is_imagenet else JUDGE
        if self.is_imagenet and (told := self.study.evaluation.extractor).resize != "tensorflow1":
            extractor = extractor | {"resize": told.resize}
        if folder in ("generation", "throughput"):
            generator, sampler, _ = parts
            subject = json.loads(targets.subject(seed=seed, generator=generator, sampler=sampler, sitting=sitting))
            made, how = generator_model(self.study, generator), self.study.samplers[sampler]
            subject |= of_generator(made, how)
            kind, metrics, protocol = folder, *self._generation(folder, subject, extractor, side)
        elif folder == "probe":
            subject = json.loads(targets.subject(seed=seed, tokenizer=parts[0], stage="encoder"))
            subject |= self._of_tokenizer(parts[0])
            accuracy = self._scattered(0.9 - 0.03 * math.log2(subject["num_latent_tokens"]), seed)
            read = [self.study.probe.first, *self.study.probe.readings] if self.study.probe.readings else []  # type: ignore[union-attr]
            metrics = {"linear_probe_top1": accuracy} | {f"linear_probe_top1_{one.name}": accuracy for one in read}
            kind, protocol = "linear_probe", {"features": "mean"}
        else:
            name, stage = (parts[0], parts[0]) if parts == ("vqgan",) else (parts[0], parts[1])
            is_codec = stage.startswith("q") and stage[1:].isdigit()
            subject = {"tokenizer": name, "stage": stage, "seed": 0, "recipe": "codec"}
            if not is_codec:
                subject = json.loads(targets.subject(seed=seed, tokenizer=name, stage=stage)) | self._of_tokenizer(name)
            metrics, protocol = self._reconstruction(subject, extractor, side)
            kind = folder
            if folder == "lengths":
                metrics = self._lengths(subject)
        intervals = {
            metric: _Interval(value * 0.99, value * 1.01, 0.8 if metric.endswith("second") else 0.95)
            for metric, value in metrics.items()
            if (self.study.evaluation.uncertainty and metric in ("rfid", "gfid", "inception_score_adm"))
            or (metric == "sampling_images_per_second" and folder == "throughput")
        }
        timed = {
            metric: dict(found) | {"device": A100 if self.is_imagenet else {"type": "cpu"}}
            for metric, found in TIMED.items()
            if metric in metrics and folder != "throughput"
        }
        return score_record(kind, self.study.study, subject, metrics, protocol, PROVENANCE, intervals, timed)  # type: ignore[arg-type]

    def _of_tokenizer(self, name: str) -> dict[str, Any]:
        """What a model says of itself when it is scored."""
        known = tokenizer_facts(self.study, name)
        return {
            "num_latent_tokens": known.num_tokens,
            "codebook_size": known.codebook_size if known.is_discrete else None,
        }

    def _reconstruction(self, subject: dict[str, Any], extractor: Any, side: int) -> tuple[Any, Any]:
        tokens, seed = subject.get("num_latent_tokens", 64), subject["seed"]
        size = {"s": 1.2, "b": 1.1}.get(str(subject.get("size"))[0], 1.0)
        rfid = self._paper(subject["tokenizer"], subject["stage"], "rfid") or size * (
            (8 if subject["stage"] == "stage1" else 4) * (self.study.dataset.image_size / 16 / tokens) ** 0.4
        )
        metrics = {
            "rfid": self._scattered(rfid, seed),
            "psnr": self._scattered(18 + math.log2(tokens), seed),
            "ssim": 0.6,
            "explained_variance": 0.7,
            "parameters": 1e6,
            "bits_per_image": 12.0 * tokens,
        }
        if not self.is_imagenet:
            metrics |= {"judge_accuracy": 0.98, "chance_accuracy": 0.11, "classifier_accuracy": 0.9}
        reference = {
            "dataset": self.study.dataset.kind,
            "split": "test",
            "images": self.study.dataset.images.test if self.study.dataset.images else 500,
            "resize": self.study.dataset.resize,
            "resize_rule": self.study.evaluation.resize_rule or "official",
            "crop": side,
        }
        rounding = self.study.evaluation.rounding
        protocol = {"num_images": reference["images"], "rounding": rounding, "extractor": extractor}
        return metrics, {**protocol, "reference": reference}

    def _lengths(self, subject: dict[str, Any]) -> dict[str, float]:
        """Of all lengths together two, and the choice by the strictest threshold."""
        most, seed, section = subject["num_latent_tokens"], subject["seed"], self.study.adaptive_length
        assert section is not None
        names = ("rfid", section.criterion)
        found = {f"{name}@{k}": self._scattered(1 / k, seed) for name in names for k in (max(most // 2, 1), most)}
        if subject["tokenizer"] in section.beside:
            return found
        chosen = {"mean_length": 0.75 * most, "met": 0.5, **dict.fromkeys(names, self._scattered(1.2 / most, seed))}
        return found | {f"{name}@{section.criterion}<{section.scored[0]:g}": value for name, value in chosen.items()}

    def _generation(self, folder: str, subject: dict[str, Any], extractor: Any, side: int) -> tuple[Any, Any]:
        names, seed = (subject["generator"], subject["sampler"]), subject["seed"]
        speed = self._paper(*names, "samples_per_second_a100") or 3000.0 / subject["num_latent_tokens"]
        if folder == "throughput":
            settings = self.study.throughput.resolved() if self.study.throughput else {}
            device = A100 if self.is_imagenet else {"type": "cpu"}
            speed = self._scattered(speed, subject["sitting"])
            metrics = {"sampling_images_per_second": speed, "sampling_gflop": 100.0, "generator_parameters": 1e8}
            return metrics, {"throughput": settings, "device": device}
        gfid = self._paper(*names, "gfid") or 3.0 + subject["num_latent_tokens"] / 256
        score = self._paper(*names, "inception_score") or 180.0
        metrics = {
            "gfid": self._scattered(gfid, seed),
            "inception_score_adm": self._scattered(score, seed),
            "inception_score": 1.03 * score,
            "generator_parameters": 1e8,
            "sampling_images_per_second": 1.0,
        }
        if "generator_recipe" not in subject:
            metrics["training_images_per_second"] = self._scattered(90_000.0 / subject["num_latent_tokens"], seed)
        if not self.is_imagenet:
            metrics |= {"class_agreement": 0.9}
        file = "VIRTUAL_imagenet256_labeled.npz" if side == 256 else "VIRTUAL_imagenet512.npz"
        reference = {"file": file, "sha256": "cd" * 32} if self.is_imagenet else {"dataset": "digits", "split": "train"}
        count, classes = (50_000, 1000) if self.is_imagenet else (500, 10)
        return metrics, {
            "num_images": count,
            "num_classes": classes,
            "extractor": extractor,
            "reference": reference,
        }

    def _paper(self, *names: Any) -> float | None:
        """The paper's number of what a row of ImageNet's studies shows."""
        *subject, column = names
        reference = self.rows.get(tuple(subject))
        found = self.paper.value(reference, column) if reference and self.is_imagenet else None
        return found.value if found is not None and found.is_sure else None

    @staticmethod
    def _scattered(value: float, seed: int) -> float:
        return value * (1 + NOISE * math.sin(7 * seed + value))
