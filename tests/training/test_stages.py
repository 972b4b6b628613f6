"""What the tokenizer stages train, keep frozen, hand on and ask of each other (specification 7.1, 7.2, 8.5 and 8.6)."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from training.tiny import VQGAN_MODEL, build, images, pixel_losses, stage1_task, titok, training

from titok.config.training import ProxyCodeLosses
from titok.data.transforms import from_uint8
from titok.models.image_tokenizer import Ids
from titok.models.vqgan import VQGAN
from titok.runtime.seed import generator
from titok.training.pixel_task import PixelTask
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task
from titok.training.task import Task


def steps(task: Task, count: int, first: int = 1) -> list[tuple[str, dict[str, Tensor]]]:
    """Plain steps without the loop; counting from 1, because the first update has learning rate 0."""
    seen = []
    source = images()
    task.train()
    for step in range(first, first + count):
        for name, terms, _ in task.updates(source.batch(step), step, generator(0, "step", step)):
            task.players[name].update(terms["loss"], step)
            seen.append((name, terms))
    return seen


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_stage1_trains_everything_but_the_pixel_decoder() -> None:
    torch.manual_seed(0)
    task = stage1_task(training())
    before = copy.deepcopy(task.model.state_dict())
    vqgan_before = copy.deepcopy(task.vqgan.network.state_dict())
    steps(task, 4)
    assert top(changed(task.model, before)) == {"encoder", "latent_tokens", "quantize", "decoder"}
    assert not changed(task.vqgan.network, vqgan_before)


def test_stage1_predicts_the_frozen_codes_of_the_augmented_batch() -> None:
    torch.manual_seed(0)
    task = stage1_task(training())
    batch = images().batch(3)
    seen = from_uint8(batch.images)
    codes = task.vqgan.network.tokenize(seen).values
    logits = task.model.proxy_logits(task.model.quantize(task.model.encode(seen)).z_quantized)
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), codes.flatten())
    [(_, terms, _)] = task.updates(batch, 3, generator(0, "step", 3))
    torch.testing.assert_close(terms["proxy_code_loss"], expected.detach())
    assert terms["proxy_code_loss"].item() == pytest.approx(math.log(VQGAN_MODEL.codebook_size), rel=0.05)
    assert terms["indices"].shape == (8, 4)


def test_stage1_exports_images_by_itself() -> None:
    torch.manual_seed(0)
    vqgan, model = VQGAN(VQGAN_MODEL), titok()
    task = Stage1Task(model, vqgan, ProxyCodeLosses(), training())
    images_in = from_uint8(images().batch(0).images)
    logits = task.model.proxy_logits(task.model.quantize(task.model.encode(images_in)).z_quantized)
    torch.testing.assert_close(
        task.model.reconstruct(images_in).images.clamp(0, 1), vqgan.detokenize(Ids(logits.argmax(-1)))
    )


@pytest.mark.parametrize("start", ["data", "published"])
def test_the_codebook_starts_where_the_settings_say(start: str) -> None:
    torch.manual_seed(0)
    task = Stage1Task(titok(codebook_init=start), VQGAN(VQGAN_MODEL), ProxyCodeLosses(), training())
    before = task.model.quantize.embedding.weight.detach().clone()
    for step in (0, 1):
        next(task.updates(images().batch(step), step, generator(0, "step", step)))
        after = task.model.quantize.embedding.weight.detach().clone()
        assert torch.equal(after, before) == (start == "published" or step == 1)
        before = after


def test_stage2_trains_the_decoding_side_only() -> None:
    torch.manual_seed(0)
    task = Stage2Task(titok(reanchor_codes=True), pixel_losses(0.0), training())
    assert task.model.pixel_lookup == "soft"
    task.train()
    before = copy.deepcopy(task.model.state_dict())
    tokens = task.model.tokenize(from_uint8(images().batch(0).images)).values
    steps(task, 4)
    assert top(changed(task.model, before)) == {"decoder", "pixel_quantize", "pixel_decoder"}
    assert torch.equal(task.model.tokenize(from_uint8(images().batch(0).images)).values, tokens)


def test_stage2_goes_on_from_stage1_whatever_was_frozen_there() -> None:
    torch.manual_seed(0)
    first = stage1_task(training())
    second = Stage2Task(first.model, pixel_losses(0.0), training())
    trained = top(set(second.players["model"].parameters))
    assert trained == {"decoder", "pixel_quantize", "pixel_decoder"}


def test_single_stage_trains_all_of_both_kinds() -> None:
    for name, parts in (("single_stage_vq", {"quantize"}), ("single_stage_vae", set())):
        task, _, _ = build(name)
        before = copy.deepcopy(task.model.state_dict())
        steps(task, 4)
        assert top(changed(task.model, before)) == {"encoder", "latent_tokens", "decoder"} | parts


@pytest.mark.parametrize("name", ["vqgan", "stage2", "single_stage_vq", "single_stage_vae"])
def test_the_discriminator_joins_at_its_step_and_after_the_model(name: str) -> None:
    task, _, _ = build(name)
    order = [player for player, _ in steps(task, 4, first=2)]  # it starts at step 4
    assert order == ["model", "model", "model", "discriminator", "model", "discriminator"]


def test_both_players_see_the_same_reconstructions_and_leave_each_other_alone() -> None:
    task, _, _ = build("stage2")
    assert isinstance(task, PixelTask)
    assert task.losses.adversarial is not None
    seen: dict[str, Tensor] = {}
    adversarial = task.losses.adversarial
    generator_terms, discriminator_terms = adversarial.generator_terms, adversarial.discriminator_terms

    def watch_model(reconstructions: Tensor, step: int) -> dict[str, Tensor]:
        seen["model"] = reconstructions
        return generator_terms(reconstructions, step)

    def watch_discriminator(batch: Tensor, reconstructions: Tensor, step: int) -> dict[str, Tensor]:
        seen["discriminator"] = reconstructions
        return discriminator_terms(batch, reconstructions, step)

    adversarial.generator_terms, adversarial.discriminator_terms = watch_model, watch_discriminator  # type: ignore[method-assign]
    model_before, judge_before = (copy.deepcopy(part.state_dict()) for part in (task.model, adversarial))
    turns = task.updates(images().batch(6), 6, generator(0, "step", 6))
    terms = next(turns).terms
    task.players["model"].update(terms["loss"], 6)
    assert changed(task.model, model_before)
    assert not changed(adversarial, judge_before)
    model_before = copy.deepcopy(task.model.state_dict())
    terms = next(turns).terms
    task.players["discriminator"].update(terms["loss"], 6)
    assert not changed(task.model, model_before)
    assert changed(adversarial, judge_before) >= {"ema_real_logits_mean", "discriminator.block_in.0.weight"}
    assert torch.equal(seen["model"], seen["discriminator"])


def test_the_vae_samples_from_the_steps_own_generator() -> None:
    task, _, _ = build("single_stage_vae")
    batch = images().batch(0)

    def loss(stream: int) -> float:
        return next(task.updates(batch, 0, generator(0, "step", stream)))[1]["reconstruction_loss"].item()

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)
