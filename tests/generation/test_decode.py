"""The decoding loop: the official code's ids step by step, and what must hold for any setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from generation.fake_generators import TableGenerator
from generation.recorded_noise import RecordedNoise
from golden.rule import load_golden
from golden.tiny_generators import TINY_GENERATORS, tiny_generator
from torch import Tensor

from titok.config.sampling import Sampler
from titok.generation.decode import decode_tokens
from titok.generation.noise import CounterNoise, NoiseKind
from titok.generation.per_step import guidance_scales
from titok.generation.schedule import masked_counts

RECORDED_RUNS = [
    (name, run)
    for name in TINY_GENERATORS
    for run, settings in load_golden(name).extra["generate_runs"].items()
    if "noise_seed" in settings
]


class OfficialOrderNoise:
    """Torch's CPU generator, consumed in the official order: before a step's token noise, B numbers per forward."""

    def __init__(self, seed: int, sampler: Sampler) -> None:
        self.rng = torch.Generator().manual_seed(seed)
        self.scales = guidance_scales(sampler)

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        batch_size = len(sample_indices)
        if kind is NoiseKind.TOKEN:
            for _ in range(1 if self.scales[step] == 0 else 2):
                torch.rand(batch_size, generator=self.rng)
        return torch.rand((batch_size, *shape), generator=self.rng)


class NoNoise:
    """For runs at temperature 0, which must not ask for noise."""

    def uniform(self, *_: object) -> Tensor:
        raise AssertionError("noise was drawn at temperature 0")


def official_sampler(kwargs: Mapping[str, Any]) -> Sampler:
    """Our settings for the arguments of the released `generate`."""
    schedule = kwargs["guidance_decay"].replace("-", "_")
    return Sampler(
        num_steps=kwargs["num_sample_steps"],
        guidance_schedule=schedule,
        guidance_scale=kwargs["guidance_scale"] - (schedule == "power_cosine"),
        guidance_power=kwargs["guidance_scale_pow"],
        choice_temperature=kwargs["randomize_temperature"],
        softmax_temperature_annealing=kwargs["softmax_temperature_annealing"],
    )


@pytest.mark.parametrize(("name", "run"), RECORDED_RUNS)
def test_ids_of_every_step_are_the_official_ones(name: str, run: str) -> None:
    model, golden = tiny_generator(name)
    settings = golden.extra["generate_runs"][run]
    noise = NoNoise() if settings["noise_seed"] is None else RecordedNoise(settings["noise_seed"])
    steps: list[list[list[int]]] = []
    result = decode_tokens(
        model,
        torch.tensor(settings["labels"]),
        official_sampler(settings["kwargs"]),
        noise,
        trace=lambda step, tokens: steps.append(tokens.tolist()),
    )
    expected = golden.outputs[f"{run}/ids_per_step"].tolist()
    assert steps == expected
    assert result.tolist() == expected[-1]


@pytest.mark.parametrize("name", TINY_GENERATORS)
def test_unpatched_official_run_with_torchs_generator(name: str) -> None:
    model, golden = tiny_generator(name)
    settings = golden.extra["generate_runs"]["torch_manual_seed_123"]
    sampler = official_sampler(settings["kwargs"])
    noise = OfficialOrderNoise(settings["seed"], sampler)
    labels = torch.tensor(settings["labels"])
    tokens = decode_tokens(model, labels, sampler, noise)
    assert tokens.tolist() == golden.outputs["torch_manual_seed_123/ids"].tolist()
    # The official code draws at the greedy last step, too; its next numbers show that nothing else was drawn.
    for kind, shape in ((NoiseKind.TOKEN, (model.num_tokens, 64)), (NoiseKind.CONFIDENCE, (model.num_tokens,))):
        noise.uniform(labels, sampler.num_steps - 1, kind, shape)
    np.testing.assert_array_equal(
        torch.rand(4, generator=noise.rng), golden.outputs["torch_manual_seed_123/next_rand4"]
    )


@pytest.mark.parametrize("mask_schedule", ["arccos", "cosine", "linear", "root"])
@pytest.mark.parametrize("guidance", [("constant", 0.0), ("linear", 3.0), ("power_cosine", 5.9)])
@pytest.mark.parametrize("temperature", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("num_steps", [1, 4, 9])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_position_is_revealed_exactly_once(
    mask_schedule: str, guidance: tuple[str, float], temperature: float, num_steps: int, seed: int
) -> None:
    """Revealed tokens stay, every sample has the planned number of masks, and the result has none."""
    generator = TableGenerator(seed=seed)
    sampler = Sampler(
        num_steps=num_steps,
        mask_schedule=mask_schedule,
        guidance_schedule=guidance[0],
        guidance_scale=guidance[1],
        choice_temperature=temperature,
    )
    steps: list[Tensor] = []
    labels = torch.tensor([0, 1, 2, 1, 0])
    decode_tokens(generator, labels, sampler, CounterNoise(seed), trace=lambda _, tokens: steps.append(tokens))
    masked = [tokens == generator.token_space.mask_id for tokens in steps]
    counts = masked_counts(generator.num_tokens, num_steps, sampler.mask_schedule)
    assert [mask.sum(dim=1).tolist() for mask in masked] == [[count] * 5 for count in counts]
    for before, after, was_masked, is_masked in zip(steps, steps[1:], masked, masked[1:], strict=False):
        assert not (is_masked & ~was_masked).any(), "a revealed position was masked again"
        assert torch.equal(after[~was_masked], before[~was_masked]), "a revealed token changed"
    assert steps[-1].min() >= 0
    assert steps[-1].max() < generator.token_space.codebook_size


@pytest.mark.parametrize("name", TINY_GENERATORS)
def test_same_samples_in_any_batch(name: str) -> None:
    model, _ = tiny_generator(name)
    sampler = Sampler(num_steps=5, choice_temperature=4.5)
    labels, indices = torch.arange(10) % 10, torch.arange(100, 110)
    whole = decode_tokens(model, labels, sampler, CounterNoise(3), indices)
    for part in (slice(0, 1), slice(1, 4), slice(4, 10)):
        assert torch.equal(decode_tokens(model, labels[part], sampler, CounterNoise(3), indices[part]), whole[part])
    shuffled = torch.tensor([7, 2, 9, 0])
    again = decode_tokens(model, labels[shuffled], sampler, CounterNoise(3), indices[shuffled])
    assert torch.equal(again, whole[shuffled])


def test_seeds_and_indices_give_different_samples() -> None:
    generator, sampler, label = TableGenerator(), Sampler(choice_temperature=20.0), torch.tensor([1])
    results = {
        tuple(decode_tokens(generator, label, sampler, CounterNoise(seed), torch.tensor([index]))[0].tolist())
        for seed in range(4)
        for index in range(4)
    }
    assert len(results) == 16


def test_unguided_steps_run_one_half() -> None:
    generator = TableGenerator()
    decode_tokens(generator, torch.tensor([0, 1]), Sampler(num_steps=3, guidance_scale=2.0), CounterNoise(0))
    assert generator.batch_sizes == [2, 4, 4], "linear guidance starts at 0"
    generator.batch_sizes.clear()
    decode_tokens(generator, torch.tensor([0, 1]), Sampler(num_steps=3, guidance_scale=0.0), CounterNoise(0))
    assert generator.batch_sizes == [2, 2, 2]


def test_ties_keep_the_planned_count() -> None:
    """All confidences equal: the released code would mask everything again and never finish as planned."""
    generator = TableGenerator()
    generator.by_class, generator.by_count = generator.by_class * 0, generator.by_count * 0
    counts: list[int] = []
    decode_tokens(
        generator,
        torch.tensor([0]),
        Sampler(num_steps=4, choice_temperature=0.0),
        NoNoise(),
        trace=lambda _, tokens: counts.append(int((tokens == 9).sum())),
    )
    assert counts == masked_counts(6, 4, "arccos")


def test_loop_never_waits_for_the_device() -> None:
    """Meta tensors have no values: anything that reads one, or whose shape depends on one, raises."""
    generator = TableGenerator()
    generator.by_class, generator.by_count = generator.by_class.to("meta"), generator.by_count.to("meta")
    labels = torch.zeros(3, dtype=torch.int64, device="meta")
    tokens = decode_tokens(generator, labels, Sampler(num_steps=3), CounterNoise(0))
    assert tokens.shape == (3, 6)
    assert tokens.device.type == "meta"
