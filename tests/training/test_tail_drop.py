"""One TiTok of all lengths: how many tokens a batch keeps, who learns from them, and codes that are decoded in part.

Run: pytest tests/training/test_tail_drop.py
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training.tiny import images, single_stage_vq_task, stage1_task, stage2_task, titok, tokenizer, training

import titok as package
from titok.errors import ModelError
from titok.models.image_tokenizer import Ids
from titok.models.length_choice import choose_lengths, mean_absolute_error
from titok.models.published import PublishedFormatError
from titok.models.tokenizer import TiTok
from titok.runtime.seed import generator
from titok.training.loop import Run
from titok.training.tail_drop import kept_tokens

DROPPING = tokenizer(tail_drop="uniform")


def test_every_number_of_tokens_is_equally_likely() -> None:
    counts = Counter(kept_tokens(DROPPING, generator(3, "step", step)) for step in range(4000))
    assert sorted(counts) == [1, 2, 3, 4]
    # Four standard deviations of a binomial count.
    assert all(abs(count - 1000) < 4 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values()), counts


def test_it_depends_on_seed_and_step_alone() -> None:
    numbers = generator(3, "step", 17)
    expected = kept_tokens(DROPPING, numbers)
    torch.rand(100, generator=numbers)  # as when a codebook was placed, or noise drawn
    assert kept_tokens(DROPPING, numbers) == expected
    seeds = [[kept_tokens(DROPPING, generator(seed, "step", step)) for step in range(40)] for seed in (0, 1)]
    assert seeds[0] != seeds[1]


def test_without_it_all_tokens_are_kept() -> None:
    assert {kept_tokens(tokenizer(), generator(0, "step", step)) for step in range(20)} == {4}


@pytest.mark.parametrize("make", [stage1_task, stage2_task, single_stage_vq_task])
def test_every_stage_decodes_the_first_tokens_alone(make: object) -> None:
    torch.manual_seed(0)
    settings = training(8)
    task = make(settings, tail_drop="uniform")  # type: ignore[operator]
    seen: list[int] = []
    task.model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    run = Run(task, settings, seed=5, config={})
    batches = images()
    for _ in range(8):
        run.train_one_step(batches)
    assert seen == [kept_tokens(DROPPING, generator(5, "step", step)) for step in range(8)]
    assert len(set(seen)) > 2


def test_what_is_dropped_gets_no_gradient_from_the_decoder() -> None:
    torch.manual_seed(0)
    task = stage1_task(training(), tail_drop="uniform")
    batch = images().batch(0)
    step = next(step for step in range(50) if kept_tokens(DROPPING, generator(0, "step", step)) == 2)
    [turn] = task.updates(batch, step, generator(0, "step", step))
    turn.terms["loss"].backward()
    positions = task.model.decoder.latent_token_positional_embedding.grad
    assert positions is not None
    assert positions[:2].abs().min() > 0
    assert not positions[2:].any()
    # The quantizer's loss still reaches all tokens.
    assert (task.model.latent_tokens.grad.abs().sum(dim=1) > 0).all()


@pytest.fixture(scope="module")
def model() -> TiTok:
    torch.manual_seed(0)
    model = titok(tail_drop="uniform", pixel_lookup="soft")
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(std=0.3)
        model.quantize.embedding.weight.normal_()
        model.pixel_quantize.embedding.weight.normal_()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return images().batch(0).images.float() / 255


def test_any_number_of_first_tokens_can_be_decoded(model: TiTok, pictures: Tensor) -> None:
    tokens = model.tokenize(pictures).values
    found = [model.detokenize(Ids(tokens[:, :count])) for count in range(1, 5)]
    assert all(image.shape == pictures.shape for image in found)
    assert not any(torch.equal(one, other) for one, other in itertools.pairwise(found))
    torch.testing.assert_close(found[-1], model.reconstruct(pictures).images)
    for count in (0, 5):
        with pytest.raises(ModelError, match=f"{count} tokens per image are to be decoded; this tokenizer has 1 to 4"):
            model.decode(torch.zeros(1, count, 4))


def test_without_tail_drop_fewer_tokens_are_refused(pictures: Tensor) -> None:
    model = titok().eval()
    with pytest.raises(ModelError, match=r"3 tokens per image are to be decoded; this tokenizer has 4\."):
        model.detokenize(Ids(model.tokenize(pictures).values[:, :3]))
    with pytest.raises(ModelError, match="only one trained with tail drop"):
        choose_lengths(model, pictures, mean_absolute_error(0.1))


@pytest.mark.parametrize("lengths", [None, (1, 3), (4,)])
@pytest.mark.parametrize("otherwise", ["best", "longest"])
def test_the_shortest_sufficient_length_is_that_of_brute_force(
    model: TiTok, pictures: Tensor, lengths: tuple[int, ...] | None, otherwise: str
) -> None:
    allowed = lengths or (1, 2, 3, 4)
    tokens = model.tokenize(pictures).values
    restored = torch.stack([model.detokenize(Ids(tokens[:, :count])) for count in allowed])
    errors = (restored - pictures).abs().mean(dim=(2, 3, 4))
    ordered = errors.double().flatten().sort().values
    threshold = float(ordered[len(ordered) // 3 : len(ordered) // 3 + 2].mean())
    met = errors < threshold
    first = met.float().argmax(dim=0)
    fallback = errors.argmin(dim=0) if otherwise == "best" else torch.full_like(first, len(allowed) - 1)
    index = torch.where(met.any(dim=0), first, fallback)
    chosen = choose_lengths(
        model,
        pictures,
        mean_absolute_error(threshold),
        lengths=lengths,
        otherwise=otherwise,  # type: ignore[arg-type]
    )
    assert chosen.lengths.tolist() == [allowed[each] for each in index]
    assert torch.equal(chosen.decoded, torch.where(met.any(dim=0), first + 1, len(allowed)))
    for row, count in enumerate(chosen.lengths.tolist()):
        assert torch.equal(chosen.values[row, :count], tokens[row, :count])
        assert not chosen.values[row, count:].any()


def test_the_released_layout_cannot_say_it(model: TiTok, tmp_path: Path) -> None:
    from titok.models.published import config_to_published

    with pytest.raises(PublishedFormatError, match="tail_drop is 'uniform'"):
        config_to_published(model.config.model_copy(update={"latent_layout": "interleaved"}))
    package.save(model, tmp_path, layout="own")
    assert package.load(tmp_path).config.tail_drop == "uniform"  # type: ignore[union-attr]


def test_a_model_without_it_is_described_as_before() -> None:
    assert "tail_drop" not in tokenizer().resolved()
    assert DROPPING.resolved()["tail_drop"] == "uniform"
