"""MaskGIT's own sampling rule: tokens at temperature 1, noise on log-probabilities, against the original's decode.

Run: pytest tests/generation/test_maskgit_rule.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from config.studies import ROOT
from generation.fake_generators import TableGenerator
from generation.recorded_noise import RecordedNoise
from golden.rule import load_golden
from torch import Tensor

from titok.config.load import load_study
from titok.config.sampling import PUBLISHED_SAMPLERS, Sampler
from titok.generation.decode import decode_tokens
from titok.generation.noise import CounterNoise
from titok.generation.per_step import choice_temperatures, token_temperatures
from titok.generation.schedule import masked_counts
from titok.models.token_space import TokenSpace
from titok.runtime.sums import sha256_json

GOLDEN = load_golden("maskgit_sampling")
SCHEDULES = {"cosine": "cosine", "arccos": "arccos", "uniform": "linear"}
"""The original's names and ours; pow, log and exp exist there only."""
RUNS: Mapping[str, Mapping[str, Any]] = {
    name: settings
    for name, settings in GOLDEN.extra["runs"].items()
    if settings["mask_scheduling_method"] in SCHEDULES and settings["start"] == "all masked"
}
FLOORS = [name for name in GOLDEN.outputs if name.startswith("mask_floor/") and name.split("/")[1] in SCHEDULES]
MASKGIT = {"token_temperature": 1.0, "confidence": "log_prob"}


class NeighbourLogits:
    """The golden run's logits, of a token's neighbours and the step; README of the golden has the formula."""

    training = False

    def __init__(self) -> None:
        self.by_position, self.by_token = (
            torch.from_numpy(GOLDEN.inputs[name]) for name in ("table_position", "table_token")
        )
        self.num_tokens, vocabulary = self.by_position.shape
        self.token_space = TokenSpace(vocabulary, num_classes=1)
        self.calls = 0

    def __call__(self, tokens: Tensor, labels: Tensor, drop: Tensor | None = None) -> Tensor:
        before, after = tokens.roll(1, dims=1), tokens.roll(-1, dims=1)
        logits = 1.5 * self.by_position + self.by_token[before] + 0.5 * self.by_token[after]
        logits = logits + (0.125 * self.calls) * self.by_token[tokens]
        self.calls += 1
        return logits


def sampler_of(settings: Mapping[str, Any], **changes: object) -> Sampler:
    """The sampler that a golden run's settings amount to."""
    given = {
        "num_steps": settings["num_iter"],
        "mask_schedule": SCHEDULES[settings["mask_scheduling_method"]],
        "guidance_scale": 0.0,
        "choice_temperature": settings["choice_temperature"],
        "softmax_temperature_annealing": False,
        **MASKGIT,
        **changes,
    }
    return Sampler.model_validate(given)


def steps_of(settings: Mapping[str, Any], sampler: Sampler) -> list[list[list[int]]]:
    """Tokens entering every step, then the result."""
    steps: list[list[list[int]]] = []
    labels = torch.zeros(GOLDEN.extra["B"], dtype=torch.int64)
    noise = RecordedNoise(settings["uniforms_seed"])
    decode_tokens(NeighbourLogits(), labels, sampler, noise, trace=lambda _, tokens: steps.append(tokens.tolist()))
    return steps


def original_steps(run: str) -> list[list[list[int]]]:
    """The same of the original."""
    after, final = GOLDEN.outputs[f"{run}/after"], GOLDEN.outputs[f"{run}/final"]
    start = np.full_like(final, GOLDEN.extra["mask_token_id"])
    return np.stack([start, *after[:-1], final]).tolist()


def test_the_logits_are_the_golden_ones() -> None:
    generator, mask_id = NeighbourLogits(), GOLDEN.extra["mask_token_id"]
    assert generator.token_space.mask_id == mask_id
    logits = generator(torch.full((1, 16), mask_id), torch.zeros(1))
    np.testing.assert_allclose(logits[0], GOLDEN.outputs["logits_all_masked_step0"], rtol=0, atol=1e-6)


def test_all_runs_are_compared_but_the_two_that_we_do_not_have() -> None:
    assert GOLDEN.extra["runs"].keys() - RUNS.keys() == {"pow2_12", "cosine_8_given"}


@pytest.mark.parametrize("run", RUNS)
def test_ids_of_every_step_are_maskgits(run: str) -> None:
    assert steps_of(RUNS[run], sampler_of(RUNS[run])) == original_steps(run)


@pytest.mark.parametrize("change", [{"token_temperature": None}, {"confidence": "logit"}])
def test_either_switch_alone_gives_others(change: dict[str, object]) -> None:
    settings = RUNS["cosine_8"]
    assert steps_of(settings, sampler_of(settings, **change)) != original_steps("cosine_8")


@pytest.mark.parametrize("name", FLOORS)
def test_masks_are_counted_as_in_maskgits_float32(name: str) -> None:
    """Before its clamps, which are ours."""
    _, schedule, num_steps, num_tokens = name.split("/")
    wanted = GOLDEN.outputs[name].tolist()
    expected = [int(num_tokens)]
    for count in wanted[:-1]:
        expected.append(max(1, min(expected[-1] - 1, count)))
    ours = masked_counts(int(num_tokens), int(num_steps), SCHEDULES[schedule])  # type: ignore[arg-type]
    assert ours == [*expected, 0]


def test_two_thirds_of_the_way_one_token_fewer_is_masked() -> None:
    assert masked_counts(256, 12, "cosine")[8] == 127
    assert masked_counts(1024, 12, "cosine")[8] == 511


def test_token_noise_has_its_own_temperature_to_the_last_step() -> None:
    maskgit = Sampler.model_validate({"num_steps": 4, "choice_temperature": 4.5, **MASKGIT})
    assert token_temperatures(maskgit) == [1.0, 1.0, 1.0, 1.0]
    assert choice_temperatures(maskgit) == pytest.approx([3.375, 2.25, 1.125, 0.0])
    titok = Sampler(num_steps=4, choice_temperature=4.5)
    assert token_temperatures(titok) == choice_temperatures(titok)


def test_tokens_are_drawn_from_the_softmax() -> None:
    """Of 4,000 samples in one step, the share of each token is its probability (five standard errors)."""
    generator, number = TableGenerator(num_tokens=1, codebook_size=4), 4000
    sampler = Sampler.model_validate(
        {"num_steps": 1, "guidance_scale": 0.0, "softmax_temperature_annealing": False, **MASKGIT}
    )
    labels = torch.zeros(number, dtype=torch.int64)
    drawn = decode_tokens(generator, labels, sampler, CounterNoise(0))[:, 0]
    logits = generator(torch.tensor([[generator.token_space.mask_id]]), torch.tensor([0]))[0, 0]
    shares = drawn.bincount(minlength=4) / number
    expected = logits.softmax(dim=-1)
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / number).sqrt()).all()


@pytest.mark.parametrize(("size", "num_steps"), [(256, 8), (512, 12)])
def test_the_papers_maskgit_rows_are_sampled_so(size: int, num_steps: int) -> None:
    study = load_study(ROOT / "config" / f"imagenet{size}.yaml")
    assert study.samplers["maskgit"].resolved() == {
        "num_steps": num_steps,
        "mask_schedule": "cosine",
        "guidance_schedule": "linear",
        "guidance_scale": 0.0,
        "guidance_power": 3.0,
        "choice_temperature": 4.5,
        "softmax_temperature_annealing": False,
        **MASKGIT,
    }


def test_titoks_samplers_are_told_nothing_new() -> None:
    """Their documents and fingerprints leave both switches out."""
    for sampler in PUBLISHED_SAMPLERS.values():
        assert not MASKGIT.keys() & sampler.resolved().keys()
        told = {**sampler.resolved(), "token_temperature": None, "confidence": "logit"}
        assert sha256_json(Sampler.model_validate(told).identity()) == sha256_json(sampler.identity())
