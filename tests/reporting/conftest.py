"""A made-up study as files: score records, manifests, logs and images with the trends that the paper shows."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from titok.config.figure_settings import Reconstructions, Samples
from titok.config.figures import Figures
from titok.config.reporting import Reporting, Tables
from titok.config.rows import CurveRun, Grid, GridGenerators, Row, Table
from titok.config.working_checks import Checks

PAPER = Path(__file__).parents[2] / "config" / "paper.csv"
PROTOCOL = {"num_images": 500, "rounding": "round", "extractor": {"kind": "classifier", "sha256": "ab" * 32}}
PROVENANCE = {
    "created": "2026-01-01T00:00:00+00:00",
    "code": {"commit": "0123456789abcdef", "modified": False},
    "machine": {"cpu": "Test CPU", "cpus": 2},
    "device": {"type": "cpu"},
    "packages": {"torch": "2.9.0"},
}
UNITS = {
    "inception_score_adm": ("digits-IS (ADM splits)", "higher", ""),
    "rfid": ("digits-rFID", "lower", ""),
    "gfid": ("digits-gFID", "lower", ""),
    "inception_score": ("digits-IS", "higher", ""),
    "psnr": ("PSNR", "higher", "dB"),
    "classifier_accuracy": ("read as their label", "higher", "fraction"),
    "class_agreement": ("read as the class asked for", "higher", "fraction"),
    "judge_accuracy": ("real images read as their label", "higher", "fraction"),
    "chance_accuracy": ("real images of the most frequent class", "neither", "fraction"),
    "explained_variance": ("explained variance of the pixels", "higher", ""),
    "codebook_usage": ("codebook usage", "higher", "fraction"),
    "codebook_perplexity": ("codebook perplexity", "higher", "codes"),
    "linear_probe_top1": ("linear probe top-1", "higher", "fraction"),
    "sampling_images_per_second": ("sampling speed", "higher", "images/s"),
}
SIZES = {"s": 0, "b": 1, "l": 2}
TOKENS = (1, 2, 4, 8)
SEEDS = (0, 1)
GENERATORS = {"l1-vit": (6.0, 900.0), "l2-vit": (4.0, 800.0), "l4-vit": (3.0, 500.0), "l8-vit": (2.5, 250.0)}


MANY_SEEDS = (0, 1, 2, 3, 4)


def rfid(size: str, k: int, seed: int) -> float:
    """Falls with K and with size; the first two seeds lie symmetrically around the mean, later ones scatter."""
    wobble = (0.2 if seed else -0.2) if seed < 2 else 0.2 * math.sin(7 * seed + 3 * k + SIZES[size])
    return 24.0 / k**0.8 - 3.0 * SIZES[size] / k + wobble


@dataclass
class Tree:
    """The files of a study, and ways to change them."""

    root: Path

    @property
    def scores(self) -> list[Path]:
        return sorted((self.root / "scores").rglob("*.json"))

    @property
    def manifests(self) -> list[Path]:
        return sorted(self.root.rglob("manifest.json"))

    @property
    def logs(self) -> list[Path]:
        return sorted(self.root.rglob("metrics.jsonl"))

    def score(
        self, where: str, kind: str, subject: dict[str, Any], metrics: dict[str, Any], protocol: Any = PROTOCOL
    ) -> Path:
        """Writes one record below `scores/`."""
        described = {
            name: dict(zip(("label", "better", "unit"), UNITS.get(name, (name, "", "")), strict=True))
            | {"value": value}
            for name, value in metrics.items()
        }
        identifier = hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]
        record = {"kind": kind, "study": "digits", "subject": subject, "metrics": described, "protocol": protocol}
        return self.json(f"scores/{where}.json", record | {"protocol_id": identifier, "provenance": PROVENANCE})

    def json(self, where: str, content: Any) -> Path:
        path = self.root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    def edit(self, where: str, metric: str, value: float | None) -> None:
        """Changes one metric of one record."""
        path = self.root / "scores" / f"{where}.json"
        record = json.loads(path.read_text())
        record["metrics"][metric]["value"] = value
        path.write_text(json.dumps(record))

    def run(self, where: str, task: str, seed: int) -> None:
        """Writes the log and manifest of a training run."""
        self.json(
            f"{where}/manifest.json", {"task": task, "seed": seed, "steps": 800, "wall_seconds": 30.0, "health": []}
        )
        lines = [{"step": step, "loss": 3.0 / (1 + step / 100) + 0.1 * seed} for step in range(50, 801, 50)]
        (self.root / where / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _reconstruction(size: str, k: int, seed: int, gain: float) -> dict[str, float]:
    return {
        "rfid": gain * rfid(size, k, seed),
        "psnr": 12.0 + k + SIZES[size],
        "ssim": 0.4 + 0.05 * k,
        "explained_variance": 0.4 + 0.05 * k,
        "judge_accuracy": 0.99,
        "chance_accuracy": 0.11,
        "classifier_accuracy": {1: 0.55, 2: 0.75, 4: 0.9, 8: 0.95}[k] + 0.01 * SIZES[size],
        "codebook_usage": 0.6 + 0.04 * k,
        "codebook_perplexity": 20.0 + 2 * k,
        "parameters": 40_000 * (1 + SIZES[size]),
    }


def _write_tokenizers(tree: Tree, seeds: Sequence[int]) -> Iterator[None]:
    for size in SIZES:
        for k in TOKENS:
            for seed in seeds:
                name = f"{size}{k}"
                facts = {"tokenizer": name, "seed": seed, "size": size, "num_latent_tokens": k, "codebook_size": 64}
                stages = {"stage1": 1.0, "stage2": 0.5} if name in ("l2", "b4", "s8") else {"stage1": 1.0}
                for stage, gain in stages.items():
                    metrics = _reconstruction(size, k, seed, gain)
                    where = f"reconstruction/{name}/{stage}/seed{seed}"
                    tree.score(where, "reconstruction", {**facts, "stage": stage}, metrics)
                    tree.run(f"tokenizers/{name}/seed{seed}/{stage}", stage, seed)
                probe = {"linear_probe_top1": 0.95 - 0.03 * k + 0.01 * SIZES[size] + 0.002 * seed}
                tree.score(f"probe/{name}/seed{seed}", "linear_probe", {**facts, "stage": "encoder"}, probe)
                yield


def write_tree(root: Path, seeds: Sequence[int] = SEEDS) -> Tree:
    """Everything that a study in miniature leaves behind."""
    tree = Tree(root)
    for _ in _write_tokenizers(tree, seeds):
        pass
    vqgan = {"tokenizer": "vqgan", "stage": "vqgan", "seed": 0, "num_latent_tokens": 16, "codebook_size": 64}
    tree.score("reconstruction/vqgan", "reconstruction", vqgan, {**_reconstruction("l", 8, 0, 0.2), "rfid": 1.5})
    one = {"tokenizer": "l2-single", "stage": "single_stage", "seed": 0, "num_latent_tokens": 2, "codebook_size": 64}
    tree.score("reconstruction/l2-single/single_stage/seed0", "reconstruction", one, _reconstruction("l", 2, 0, 0.9))
    for index, (name, (gfid, speed)) in enumerate(GENERATORS.items()):
        for sampler, factor in {"eight": 1.0, "unguided": 1.8}.items():
            subject = {"generator": name, "sampler": sampler, "seed": 0, "tokenizer": name[:2], "num_steps": 8}
            subject |= {"guidance_scale": 2.0 if sampler == "eight" else 0.0, "num_latent_tokens": int(name[1])}
            metrics = {
                "gfid": gfid * factor,
                "inception_score_adm": 8.0 - gfid / 2,
                "class_agreement": 0.97 - 0.01 * gfid,
            }
            metrics |= {"sampling_images_per_second": speed, "generator_parameters": 150_000.0 + index}
            tree.score(f"generation/{name}/{sampler}/seed0", "generation", subject, metrics)
        tree.run(f"generators/{name}/seed0", "generator", 0)
    tree.run("vqgan", "proxy_vqgan", 0)
    return tree


def _settings() -> Reporting:
    variants = (
        Row(label="TiTok-L-2", tokenizer="l2", generator="l2-vit", sampler="eight", paper="table1/titok-l-32"),
        Row(label="TiTok-B-4", tokenizer="b4", generator="l4-vit", sampler="eight", paper="table1/titok-b-64"),
        Row(label="TiTok-S-8", tokenizer="s8", generator="l8-vit", sampler="eight", paper="table1/titok-s-128"),
        Row(label="MaskGIT-VQGAN", tokenizer="vqgan", paper="table1/maskgit-vqgan"),
        Row(label="DiT-XL/2", paper="table1/dit-xl-2"),
    )
    ladder = (
        Row(label="base", tokenizer="l2", stage="stage1", paper="table3a/titok-l-32-base"),
        Row(label="+ decoder fine-tuning", tokenizer="l2", paper="table3a/titok-l-32+decoder-finetuning"),
    )
    paradigms = (
        Row(label="single-stage", tokenizer="l2-single", stage="single_stage", paper="table3c/single-stage-1d"),
        Row(label="two-stage", tokenizer="l2", paper="table3c/two-stage-1d"),
        Row(label="2D VQGAN", tokenizer="vqgan", paper="table3c/maskgit-vqgan"),
    )
    guidance = (
        Row(label="without", generator="l2-vit", sampler="unguided", paper="table5/titok-l-32-no-guidance"),
        Row(label="with", generator="l2-vit", sampler="eight", paper="table1/titok-l-32"),
    )
    grid = Grid(tokens=TOKENS, generators=GridGenerators(pattern="{size}{k}-vit", sampler="eight", sizes=("l",)))
    figures = Figures(
        figure2=tuple(Row(label=f"TiTok-L-{name[1]}", generator=name, sampler="eight") for name in GENERATORS),
        training_curves=(
            CurveRun(label="TiTok-L-2", tokenizer="l2"),
            CurveRun(label="TiTok-S-2", tokenizer="s2"),
            CurveRun(label="2D VQGAN", tokenizer="vqgan"),
            CurveRun(label="L-2, ViT", generator="l2-vit"),
        ),
        reconstructions=Reconstructions(rows=variants[:3], num_images=6),
        samples=Samples(generator="l2-vit", sampler="eight", per_class=5),
    )
    tables = Tables(
        table1=Table(rows=variants),
        table3a=Table(rows=ladder),
        table3c=Table(rows=paradigms),
        table4=grid,
        table5=Table(rows=guidance),
    )
    return Reporting(tables=tables, figures=figures, checks=Checks(), figure_dpi=80)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return write_tree(tmp_path / "results" / "digits")


@pytest.fixture
def seeded(tmp_path: Path) -> Tree:
    """The same study with enough seeds to decide its trends."""
    return write_tree(tmp_path / "results" / "digits", MANY_SEEDS)


@pytest.fixture(scope="session")
def reporting() -> Reporting:
    return _settings()


@pytest.fixture(scope="session")
def paper_file() -> Path:
    return PAPER


@pytest.fixture
def images() -> np.ndarray:
    """Real digits as uint8 (40, 16, 16, 3), four of each class in order."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = np.concatenate([np.flatnonzero(digits.target == label)[:4] for label in range(10)])
    enlarged = digits.images[chosen].repeat(2, axis=1).repeat(2, axis=2)
    return np.round(enlarged * 255 / 16).astype(np.uint8)[..., None].repeat(3, axis=-1)
