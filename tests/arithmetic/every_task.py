"""Ten steps of every task, a sampling and a scoring, in one process: what must have the same bits on every processor.

    python tests/arithmetic/every_task.py FOLDER

makes FOLDER as `snakemake` would make results/ten-steps, at sizes that an emulated processor can bear. Everything goes
through the verbs that the workflow's rules call.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

STUDY = Path(__file__).with_name("ten_steps.yaml")
CPUS = ("Haswell-noTSX", "EPYC-Rome")
"""Emulated processors: AVX2 without AVX-512, of both makers. Newer ones than qemu knows are the real machines."""


def every_task(results: Path) -> None:
    """Runs the study of ``ten_steps.yaml`` into ``results``."""
    from titok.cli import main

    def settings(kind: str, name: str = "all") -> Path:
        path = results / "configs" / kind / f"{name}.yaml"
        main(["resolve", str(STUDY), kind, name, "--output", str(path)])
        return path

    def run(*words: object) -> None:
        main([str(word) for word in words])

    def train(task: str, name: str, place: str, *files: object) -> Path:
        model = results / place / "model.safetensors"
        state = results / "training" / place
        run("train", task, "--config", settings(task, name), *files, "--seed", 0, "--state", state, "--output", model)
        return model

    def subject(**names: object) -> str:
        return json.dumps({"seed": 0, **names})

    run("prepare", "--config", settings("data"), "--output", results / "data")
    train_index, test_index = (results / "data" / f"{split}.index.npz" for split in ("train", "test"))
    data = ("--data", train_index)
    judge = train("classifier", "judge", "classifiers/judge", *data)
    critic = train("classifier", "critic", "classifiers/critic", *data)
    vqgan = train("vqgan", "all", "vqgan", *data, "--critic", critic)
    first = train("stage1", "s2", "tokenizers/s2/seed0/stage1", *data, "--vqgan", vqgan)
    train("stage2", "s2", "tokenizers/s2/seed0/stage2", *data, "--init", first, "--critic", critic)
    lengths = train("alit_stage1", "alit4", "tokenizers/alit4/seed0/alit_stage1", *data, "--vqgan", vqgan)
    place = "tokenizers/alit4/seed0/alit_stage2"
    train("alit_stage2", "alit4", place, *data, "--init", lengths, "--critic", critic)
    train("stage1", "tail4", "tokenizers/tail4/seed0/stage1", *data, "--vqgan", vqgan)
    train("single_stage", "s2-single", "tokenizers/s2-single/seed0/single_stage", *data, "--critic", critic)
    train("single_stage", "s2-vae", "tokenizers/s2-vae/seed0/single_stage", *data, "--critic", critic)
    tokens = results / "tokens/s2/seed0/stage1.npz"
    run("tokens", "--config", settings("tokens"), *data, "--tokenizer", first, "--output", tokens)
    scoring = ("--config", settings("score"), "--judge", judge)
    for name in ("vit", "uvit"):
        generator = train("generator", name, f"generators/{name}/seed0", "--tokens", tokens)
        samples = results / f"samples/{name}/two-steps/seed0.npz"
        made = ("--generator", generator, "--tokenizer", first, "--seed", 0, "--output", samples)
        run("sample", "--config", settings("sample", "two-steps"), *made)
        record = results / f"scores/generation/{name}/two-steps/seed0.json"
        of = (
            "--training",
            generator.with_name("manifest.json"),
            "--subject",
            subject(generator=name, sampler="two-steps"),
        )
        run("score", "generation", *scoring, *data, "--samples", samples, *of, "--output", record)
    record = results / "scores/reconstruction/s2/stage1/seed0.json"
    of = ("--model", first, "--subject", subject(tokenizer="s2", stage="stage1"))
    run("score", "reconstruction", *scoring, "--data", test_index, *of, "--output", record)
    record = results / "scores/lengths/alit4/alit_stage1/seed0.json"
    of = ("--model", lengths, "--subject", subject(tokenizer="alit4", stage="alit_stage1"))
    choosing = ("--config", settings("lengths"), "--judge", judge)
    run("score", "lengths", *choosing, "--data", test_index, *of, "--output", record)
    record = results / "scores/probe/s2/seed0.json"
    of = (
        "--model",
        first,
        "--subject",
        subject(tokenizer="s2", stage="encoder"),
        "--state",
        results / "training/probe",
    )
    both = ("--train", train_index, "--test", test_index)
    run("score", "probe", "--config", settings("probe"), *both, *of, "--output", record)


if __name__ == "__main__":
    # Under qemu the interpreter does not find its own folder by its name.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    os.chdir(Path(__file__).parents[2])
    every_task(Path(sys.argv[1]))
