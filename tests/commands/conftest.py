"""Every verb is run once, in this process; tests look at what came out."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands.workbench import Workbench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Everything trained, sampled and scored."""
    bench = Workbench(tmp_path_factory.mktemp("bench"))
    bench.run("prepare", config=bench.config("data"), output=bench.root / "data")
    for name in ("judge", "critic"):
        bench.train("classifier", name, ("classifier", name), data=bench.train_data)
    critic = {"critic": bench.model("critic")}
    bench.train("vqgan", "vqgan", ("vqgan", "all"), data=bench.train_data, **critic)
    bench.train("stage1", "stage1", ("stage1", "two"), data=bench.train_data, vqgan=bench.model("vqgan"))
    bench.train("stage2", "two", ("stage2", "two"), data=bench.train_data, init=bench.model("stage1"), **critic)
    bench.train("single_stage", "one", ("single_stage", "one"), data=bench.train_data, **critic)
    tokens = bench.root / "tokens.npz"
    tokenizer = {"tokenizer": bench.model("two")}
    bench.run("tokens", config=bench.config("tokens"), data=bench.train_data, output=tokens, **tokenizer)
    bench.train("generator", "g", ("generator", "g"), tokens=tokens)
    samples = bench.root / "samples.npz"
    config = bench.config("sample", "two-steps")
    bench.run("sample", config=config, generator=bench.model("g"), seed=0, output=samples, **tokenizer)
    _score(bench, samples)
    return bench


def _score(bench: Workbench, samples: Path) -> None:
    scores, config, judge = bench.root / "scores", bench.config("score"), bench.model("judge")
    for name, subject in (
        ("two", bench.targets.subject(tokenizer="two", stage="stage2", seed=0)),
        ("vqgan", bench.targets.vqgan_subject()),
    ):
        shared = {"config": config, "data": bench.test_data, "judge": judge, "subject": subject}
        examples, output = bench.root / "examples" / f"{name}.npz", scores / f"{name}.json"
        bench.run("score", "reconstruction", model=bench.model(name), examples=examples, output=output, **shared)
    bench.run(
        "score",
        "probe",
        config=bench.config("probe"),
        train=bench.train_data,
        test=bench.test_data,
        model=bench.model("stage1"),
        subject=bench.targets.subject(tokenizer="two", stage="encoder", seed=0),
        state=bench.root / "state" / "probe",
        output=scores / "probe.json",
    )
    bench.run(
        "score",
        "generation",
        config=config,
        data=bench.train_data,
        samples=samples,
        judge=judge,
        training=bench.model("g").with_name("manifest.json"),
        subject=bench.targets.subject(generator="g", sampler="two-steps", seed=0),
        output=scores / "generation.json",
    )
