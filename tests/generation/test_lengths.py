"""Samples of lengths of their own: what comes after their tokens decides nothing, and lengths are those of the class.

Run: pytest tests/generation/test_lengths.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training.tiny import GENERATOR

import titok
from titok.config.generator_model import GeneratorModel
from titok.config.sampling import Sampler
from titok.config.training import MaskedTokenLosses
from titok.errors import ModelError, OptionError
from titok.generation.decode import decode_tokens
from titok.generation.generate import generate, generate_lengths
from titok.generation.lengths import draw_lengths
from titok.generation.masking import draw_masking, mask_tokens, training_mask
from titok.generation.noise import CounterNoise, NoiseKind
from titok.generation.sample import balanced_labels, sample_images
from titok.generation.sample_files import SampleParts, finish_samples
from titok.generation.schedule import counts_by_length, masked_counts
from titok.losses.masked_token import masked_token_loss, token_weights
from titok.models.generator import MaskGIT, build_generator
from titok.models.published import PublishedFormatError
from titok.models.token_space import own_tokens

KINDS = ("vit", "uvit")
SAMPLERS = {
    "guided": Sampler(num_steps=4, guidance_scale=2.0, choice_temperature=4.5),
    "plain": Sampler(num_steps=3, mask_schedule="cosine", guidance_scale=0.0, choice_temperature=2.0),
    "maskgit": Sampler(num_steps=9, token_temperature=1.0, confidence="log_prob", guidance_scale=0.0),
}
COUNTS = torch.tensor([[0, 3, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 7]])
"""Of three classes, how many images have 1 to 6 tokens."""


def model_of(kind: str, **changes: Any) -> MaskGIT:
    """Weights large enough that samples differ from each other and from class to class."""
    torch.manual_seed(0)
    model = build_generator(GENERATOR.model_copy(update={"kind": kind, "has_lengths": True, **changes}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(10.0)
    if model.config.has_lengths:
        model.length_counts.copy_(COUNTS)
    return model.eval()


def cut(model: MaskGIT, length: int) -> MaskGIT:
    """The same weights as a generator of so many tokens and of one length."""
    config = model.config.model_copy(update={"num_tokens": length, "has_lengths": False})
    state = {name: value for name, value in model.state_dict().items() if name != "length_counts"}
    state["position_embedding"] = state["position_embedding"][..., : 1 + length, :]
    shorter = build_generator(config)
    shorter.load_state_dict(state)
    return shorter.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_a_generator_of_that_length(kind: str) -> None:
    model = model_of(kind)
    lengths = torch.tensor([1, 2, 3, 4, 5, 6])
    tokens, labels = torch.randint(0, 17, (6, 6)), torch.arange(6) % 3
    found = model(tokens, labels, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = cut(model, length)(tokens[row : row + 1, :length], labels[row : row + 1])
        torch.testing.assert_close(found[row : row + 1, :length], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_after_changes_no_bit(kind: str) -> None:
    model, lengths = model_of(kind), torch.tensor([2, 4, 6])
    tokens, labels, own = torch.randint(0, 17, (3, 6)), torch.arange(3), own_tokens(torch.tensor([2, 4, 6]), 6)
    found = model(tokens, labels, lengths=lengths)
    for stranger in (0, 16, 65_535):
        again = model(torch.where(own, tokens, stranger), labels, lengths=lengths)
        assert torch.equal(again[own], found[own])


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_reaches_what_comes_after(kind: str) -> None:
    model, lengths = model_of(kind, dropout=0.0), torch.tensor([2, 3, 3])
    own = own_tokens(lengths, 6)
    tokens = torch.where(own, torch.arange(6).expand(3, 6), 15)
    masked = mask_tokens(tokens, 16, draw_masking(3, 6, torch.Generator().manual_seed(0)), "arccos", 0.0, lengths)
    logits = model(masked.tokens, torch.arange(3), masked.drop, lengths)
    masked_token_loss(logits, tokens, masked.mask, MaskedTokenLosses(), own=own).loss.backward()
    positions = model.position_embedding.grad.flatten(end_dim=-2)  # type: ignore[union-attr]
    assert positions[:4].abs().sum(dim=-1).min() > 0
    assert not positions[4:].any()
    assert not model.token_embedding.weight.grad[15].any()  # type: ignore[index]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_of_the_longest_length_are_those_without_lengths(kind: str, name: str) -> None:
    model, labels = model_of(kind), torch.arange(12) % 3
    expected = decode_tokens(cut(model, 6), labels, SAMPLERS[name], CounterNoise(5))
    found = decode_tokens(model, labels, SAMPLERS[name], CounterNoise(5), lengths=torch.full((12,), 6))
    assert torch.equal(found, expected)
    assert len(expected.unique(dim=0)) > 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_each_sample_is_that_of_a_generator_of_its_length(kind: str, name: str) -> None:
    """A sample's noise begins with that of a shorter one, so that the two must agree token by token."""
    model, sampler = model_of(kind), SAMPLERS[name]
    labels, lengths, places = torch.arange(12) % 3, torch.arange(12) % 6 + 1, torch.arange(100, 112)
    steps: list[Tensor] = []
    found = decode_tokens(
        model, labels, sampler, CounterNoise(5), places, lambda _, tokens: steps.append(tokens), lengths=lengths
    )
    for row, length in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone = decode_tokens(cut(model, length), labels[one], sampler, CounterNoise(5), places[one])
        assert torch.equal(found[one, :length], alone)
        assert not found[row, length:].any()
        counts = [int((tokens[row] == 16).sum()) for tokens in steps]
        assert counts == masked_counts(length, sampler.num_steps, sampler.mask_schedule)


def test_counts_of_every_length_are_its_own() -> None:
    table = counts_by_length(6, SAMPLERS["guided"])
    assert table.shape == (7, 4)
    assert table[6].tolist() == masked_counts(6, 4, "arccos")[1:]
    assert table[1].tolist() == [1, 1, 1, 0]


def test_lengths_are_as_frequent_as_in_the_tokens() -> None:
    labels = torch.arange(30_000) % 3
    drawn = draw_lengths(COUNTS, labels, CounterNoise(0), torch.arange(30_000))
    for label, counts in enumerate(COUNTS):
        found = torch.bincount(drawn[labels == label] - 1, minlength=6) / 10_000
        torch.testing.assert_close(found, counts / counts.sum(), rtol=0, atol=0.015)
        assert not found[counts == 0].any()


def test_a_length_belongs_to_the_sample_and_to_no_step() -> None:
    labels, places = torch.ones(200, dtype=torch.int64), torch.arange(200)
    whole = draw_lengths(COUNTS, labels, CounterNoise(3), places)
    assert torch.equal(draw_lengths(COUNTS, labels[50:70], CounterNoise(3), places[50:70]), whole[50:70])
    assert not torch.equal(draw_lengths(COUNTS, labels, CounterNoise(4), places), whole)
    steps = [CounterNoise(3).uniform(places, step, NoiseKind.TOKEN, ()) for step in range(64)]
    drawn = CounterNoise(3).uniform(places, 2**31 - 1, NoiseKind.TOKEN, ())
    assert not any(torch.equal(drawn, step) for step in steps)


class Ends:
    """The smallest and the largest number that noise can be."""

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        return torch.tensor([0.0, 1 - 2.0**-24])


@pytest.mark.parametrize(("label", "ends"), [(0, [2, 4]), (1, [1, 6]), (2, [6, 6])])
def test_the_ends_of_the_noise_are_the_ends_of_the_histogram(label: int, ends: list[int]) -> None:
    labels = torch.tensor([label, label])
    assert draw_lengths(COUNTS, labels, Ends(), torch.arange(2)).tolist() == ends
    assert draw_lengths(COUNTS * 10**9, labels, Ends(), torch.arange(2)).tolist() == ends


def test_views_of_every_image_are_counted() -> None:
    lengths = np.array([[2, 2], [4, 6], [1, 6]], dtype=np.uint16)
    model = model_of("vit")
    model.learn_lengths(lengths, np.array([0, 1, 1]))
    assert model.length_counts.tolist() == [[0, 2, 0, 0, 0, 0], [1, 0, 0, 1, 0, 2], [0] * 6]


def test_training_masks_each_sample_by_its_own_length() -> None:
    draws = draw_masking(4000, 6, torch.Generator().manual_seed(1))
    longest = torch.full((4000,), 6)
    same = training_mask(draws.progress, draws.order, "arccos")
    assert torch.equal(training_mask(draws.progress, draws.order, "arccos", longest), same)
    lengths = torch.arange(4000) % 6 + 1
    mask = training_mask(draws.progress, draws.order, "linear", lengths)
    wanted = (lengths * (1 - draws.progress)).round().clamp(min=1)
    assert torch.equal(mask.sum(dim=1), wanted.long())
    assert not (mask & ~own_tokens(lengths, 6)).any()
    shares = mask[lengths == 4].float().mean(dim=0)[:4]
    torch.testing.assert_close(shares, shares.mean().expand(4), rtol=0.15, atol=0.0)  # no position is preferred


def test_the_loss_is_the_mean_over_the_samples_own_tokens() -> None:
    torch.manual_seed(0)
    weights, lengths = MaskedTokenLosses(), torch.tensor([1, 3, 6])
    logits, targets, own = torch.randn(3, 6, 9), torch.randint(0, 9, (3, 6)), own_tokens(lengths, 6)
    mask = (torch.rand(3, 6) < 0.5) & own
    found = masked_token_loss(logits, targets, mask, weights, own=own)
    listed = masked_token_loss(logits[own][None], targets[own][None], mask[own][None], weights)
    torch.testing.assert_close(found.loss, listed.loss)
    strange = masked_token_loss(logits, torch.where(own, targets, 65_535), mask, weights, own=own)
    assert torch.equal(strange.loss, found.loss)
    assert torch.equal(strange.accuracy, found.accuracy)
    whole = torch.ones(3, 6, dtype=torch.bool)
    for plain, with_lengths in zip(
        masked_token_loss(logits, targets, mask, weights),
        masked_token_loss(logits, targets, mask, weights, own=whole),
        strict=True,
    ):
        assert torch.equal(plain, with_lengths)
    mean_weight = token_weights(mask, weights, own).mean()
    torch.testing.assert_close(
        masked_token_loss(logits, targets, mask, weights, mean_weight, own).loss, found.loss, rtol=1e-5, atol=0.0
    )


def sampled(model: MaskGIT, **options: Any) -> list[Any]:
    def paint(tokens: Tensor, lengths: Tensor | None) -> Tensor:
        assert lengths is not None
        return (tokens.sum(dim=1) / 64 + lengths / 60)[:, None, None, None].expand(-1, 3, 2, 2)

    given = {"seed": 4, "batch_size": 4, "device": torch.device("cpu"), **options}
    return list(sample_images(model, paint, balanced_labels(12, 3), SAMPLERS["guided"], **given))


def test_samples_say_their_lengths_whatever_the_batch(tmp_path: Path) -> None:
    model = model_of("vit")
    batches = sampled(model)
    lengths = np.concatenate([batch.lengths for batch in batches])
    ids = generate_lengths(model, balanced_labels(12, 3), SAMPLERS["guided"], seed=4)
    assert ids.lengths is not None
    assert lengths.tolist() == ids.lengths.tolist()
    assert set(lengths[0::3]) <= {2, 4}
    assert set(lengths[2::3]) == {6}
    [whole] = sampled(model, batch_size=12)
    np.testing.assert_array_equal(whole.images, np.concatenate([batch.images for batch in batches]))
    parts = SampleParts(tmp_path / "parts", {"a": 1}, 12)
    finish_samples(parts, lambda start: batches, tmp_path / "samples.npz")
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored.files == ["arr_0", "labels", "index", "lengths"]
        np.testing.assert_array_equal(stored["lengths"], lengths)


def test_who_wants_one_length_is_told() -> None:
    with pytest.raises(OptionError, match="this generator's samples have lengths of their own"):
        generate(model_of("vit"), [0, 1, 2], SAMPLERS["plain"])


def test_a_class_without_images_is_refused() -> None:
    model = model_of("vit")
    model.length_counts[1] = 0
    with pytest.raises(OptionError, match="class 1 had no image when the lengths of this generator's samples were"):
        generate_lengths(model, [0, 1], SAMPLERS["plain"])
    assert generate_lengths(model, [0, 2], SAMPLERS["plain"]).values.shape == (2, 6)


def test_lengths_are_learned_from_tokens_that_have_some_and_kept_with_the_weights(tmp_path: Path) -> None:
    model = model_of("vit")
    lengths, labels = np.array([[1, 2], [3, 3]], dtype=np.uint16), np.array([0, 2])
    model.learn_lengths(lengths, labels)
    titok.save(model, tmp_path / "own", layout="own")
    again = titok.load(tmp_path / "own")
    assert isinstance(again, MaskGIT)
    assert torch.equal(again.length_counts, model.length_counts)
    with pytest.raises(PublishedFormatError, match="has_lengths is true, which the released settings cannot say"):
        titok.save(model, tmp_path / "released")
    with pytest.raises(ModelError, match="has_lengths of the generator is true, but the tokens have one length"):
        model.learn_lengths(None, labels)
    with pytest.raises(ModelError, match="is false, but the tokens have lengths of their own"):
        cut(model, 6).learn_lengths(lengths, labels)


def test_generators_of_one_length_are_what_they_were() -> None:
    config = GeneratorModel(**GENERATOR.model_dump())
    assert "has_lengths" not in config.resolved()
    model = build_generator(config)
    assert not dict(model.named_buffers())
    with pytest.raises(ValueError, match="this generator makes samples of one length"):
        model(torch.zeros(1, 6, dtype=torch.int64), torch.zeros(1, dtype=torch.int64), lengths=torch.tensor([3]))
