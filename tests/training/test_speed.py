"""Precision, compilation and memory settings: what they may change and what they may not."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from training.tiny import TASKS, Broken, build

from titok.config.training import Compute, Optimizer
from titok.data.transforms import from_uint8
from titok.models.transformer import TransformerBlock
from titok.models.vqgan import VQGANEncoder
from titok.runtime.seed import generator
from titok.runtime.weights import load_model
from titok.training.health import NonFiniteError
from titok.training.loop import Run, train
from titok.training.optimizer import Player

NAMES = sorted(TASKS.keys() - {"probe"})
OPTIMIZER = Optimizer(learning_rate=3e-3, eps=1e-3)  # tiny gradients, tiny steps: see test_several_processes


def run(name: str, folder: Path, compute: Compute, **changes: Any) -> Path:
    built = build(name, compute=compute, optimizer=OPTIMIZER, **changes)
    folders = {"state_dir": folder / "state", "output_dir": folder}
    train(built.task, built.batches, built.settings, seed=3, config={"name": name}, **folders)
    return folder


def losses(folder: Path) -> list[float]:
    """Of each line; where players take turns, of whose turn it was: it comes first."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [next(value for name, value in line.items() if name.endswith("loss")) for line in lines]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    for name in NAMES:
        run(name, folder / name, Compute())
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_recomputed_activations_change_nothing(plain: Path, tmp_path: Path, name: str) -> None:
    run(name, tmp_path, Compute(activation_checkpointing=True))
    expected, found = load_model(plain / name)[0], load_model(tmp_path)[0]
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_activations_are_really_recomputed() -> None:
    counts = []
    for recompute in (False, True):
        task, batches, settings = build("stage1", compute=Compute(activation_checkpointing=recompute))
        calls: list[int] = []
        for module in task.modules():
            if isinstance(module, TransformerBlock):
                module.attn.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        Run(task, settings, seed=0, config={}).train_one_step(batches)
        counts.append(len(calls))
    # One block each in encoder and decoder; the encoder runs once more, without gradients, to place the codebook.
    assert counts == [3, 5]


@pytest.mark.parametrize("name", ["vqgan", "stage2", "classifier"])
def test_channels_last_is_the_same_training(plain: Path, tmp_path: Path, name: str) -> None:
    run(name, tmp_path, Compute(channels_last=True))
    expected, found = load_model(plain / name)[0], load_model(tmp_path)[0]
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-6)


def test_channels_last_reaches_the_convolutions() -> None:
    task, _, settings = build("vqgan", compute=Compute(channels_last=True))
    Run(task, settings, seed=0, config={})
    kernels = [value for value in task.model.parameters() if value.ndim == 4 and value.shape[2:] == (3, 3)]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_stays_close_and_keeps_float32_weights(
    plain: Path, tmp_path: Path, name: str, precision: Any
) -> None:
    run(name, tmp_path, Compute(precision=precision))
    assert losses(tmp_path) == pytest.approx(losses(plain / name), rel=0.05, abs=0.01)
    assert losses(tmp_path) != losses(plain / name)
    assert {value.dtype for value in load_model(tmp_path)[0].values()} <= {torch.float32, torch.int64}


def test_the_quantizer_and_the_losses_stay_in_float32() -> None:
    seen: dict[str, torch.dtype] = {}
    built = build("stage1", compute=Compute(precision="bf16"))
    model = built.task.model
    model.quantize.register_forward_hook(lambda _, inputs, out: seen.update(codes=out.z_quantized.dtype))
    model.encoder.blocks[0].mlp.register_forward_hook(lambda _, inputs, out: seen.update(encoder=out.dtype))
    run = Run(built.task, built.settings, seed=0, config={})
    turn = next(run._turns(built.task.updates(built.batches.batch(0), 0, generator(0, "step", 0))))
    assert seen == {"codes": torch.float32, "encoder": torch.bfloat16}
    assert {value.dtype for value in turn.terms.values() if value.is_floating_point()} == {torch.float32}


def test_the_first_codebook_is_made_outside_autocast() -> None:
    """Its encodings are in float32, and no cast made without gradients stays behind for the pass that trains."""
    built = build("stage1", compute=Compute(precision="bf16"))
    seen: list[torch.dtype] = []
    built.task.model.encoder.blocks[0].mlp.register_forward_hook(lambda _, inputs, out: seen.append(out.dtype))
    Run(built.task, built.settings, seed=0, config={}).train_one_step(built.batches)
    assert seen == [torch.float32, torch.bfloat16]
    encoder = built.task.model.encoder.parameters()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder if parameter.ndim > 1)


def test_proxy_codes_do_not_depend_on_the_precision() -> None:
    full, half = (build("stage1", compute=Compute(precision=precision)) for precision in ("fp32", "bf16"))
    images = from_uint8(full.batches.batch(0).images)
    with torch.autocast("cpu", torch.bfloat16):
        found = half.task.vqgan.network.tokenize(images).values
    assert torch.equal(found, full.task.vqgan.network.tokenize(images).values)


def test_scaled_losses_skip_overflowing_steps_and_resume_exactly(tmp_path: Path) -> None:
    run("stage1", tmp_path / "whole", Compute(precision="fp16"))
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["loss_scale"] >= 1 for line in lines)
    module = torch.nn.Linear(2, 1)
    settings = build("stage1", compute=Compute(precision="fp16")).settings
    player = Player(module, settings)
    before = module.weight.detach().clone()
    x = torch.full((1, 2), 1e30)
    norm = player.update((module(x) ** 1).mean() * 1e8, 0)  # finite, but infinite once scaled
    assert torch.equal(module.weight, before)
    assert norm == 0
    assert player.loss_scale == 2.0**15
    player.update(module(torch.ones(1, 2)).mean(), 1)
    assert not torch.equal(module.weight, before)
    other = Player(torch.nn.Linear(2, 1), settings)
    other.load_state_dict(player.state_dict())
    other.update(module(torch.ones(1, 2)).mean() * 0 + 1.0 * other.parameters["weight"].sum(), 2)
    assert other.loss_scale == 2.0**15


@pytest.mark.parametrize("broken", [(4,), range(4, 100)])
def test_scaled_training_skips_what_is_not_finite_unless_there_is_nothing_else(
    tmp_path: Path, broken: Collection[int]
) -> None:
    built = build("stage1", compute=Compute(precision="fp16"), log_every=2)
    folders = {"state_dir": tmp_path / "state", "output_dir": tmp_path}

    def trained() -> None:
        train(built.task, Broken(built.batches, broken), built.settings, seed=3, config={}, **folders)

    if len(broken) > 1:
        with pytest.raises(NonFiniteError, match="step 5"):  # the end of the first line of the log without a number
            trained()
        return
    trained()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["non_finite_share"] for line in lines] == [0.5 if line["step"] == 6 else 0.0 for line in lines]
    assert all(torch.isfinite(value).all() for value in load_model(tmp_path)[0].values())


def test_frozen_networks_are_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[type] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(type(module)))
    task, _, settings = build("stage1", compute=Compute(compile=True))
    Run(task, settings, seed=0, config={})
    assert VQGANEncoder in compiled


@pytest.mark.long
def test_compiled_parts_train_the_same(plain: Path, tmp_path: Path) -> None:
    run("stage1", tmp_path, Compute(compile=True))
    assert losses(tmp_path) == pytest.approx(losses(plain / "stage1"), rel=1e-4)
    expected, found = load_model(plain / "stage1")[0], load_model(tmp_path)[0]
    assert expected.keys() == found.keys()
