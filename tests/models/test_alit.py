"""ALIT's model at a size that computes in milliseconds: lengths, halting, and what it refuses.

Run: pytest tests/models/test_alit.py
"""

from __future__ import annotations

import itertools

import pytest
import torch
from models.alit_toys import alit, alit_images
from pydantic import ValidationError
from torch import Tensor
from training import tiny

from titok.config.alit import AlitModel, LengthProxyLosses
from titok.config.training import Training
from titok.errors import ModelError
from titok.models.alit import Alit
from titok.models.halting import explained, given_halting, halting_mask, sampled_halting
from titok.models.image_tokenizer import Ids, ImageTokenizer
from titok.models.vqgan import VQGAN
from titok.training.alit_stage1 import AlitStage1Task


@pytest.fixture(scope="module")
def model() -> Alit:
    return alit()


def test_it_is_a_tokenizer_of_images(model: Alit) -> None:
    assert isinstance(model, ImageTokenizer)
    images = alit_images(3)
    assert model.encode(images).shape == (3, 8, 4)
    assert model.tokenize(images).values.shape == (3, 8)
    assert model.detokenize(model.tokenize(images)).shape == images.shape
    restored = model.reconstruct(images, length=4)
    torch.testing.assert_close(restored.images, model.detokenize(model.tokenize(images, 4)))
    assert restored.ids is not None
    assert torch.equal(restored.ids.values, model.tokenize(images, 4).values)


def test_every_length_is_that_of_its_iteration(model: Alit) -> None:
    images = alit_images(3)
    states = list(model.rollout(images))
    assert [state.sequence.shape[1] - 17 for state in states] == list(model.config.lengths) == [2, 4, 6, 8]
    for state, length in zip(states, model.config.lengths, strict=True):
        code = model.code(state)
        assert code.quantized is not None
        assert torch.equal(code.quantized.indices, model.tokenize(images, length).values)


def test_a_longer_code_is_no_continuation_of_a_shorter_one(model: Alit) -> None:
    images = alit_images()
    codes = [model.tokenize(images, length).values for length in model.config.lengths]
    assert any(not torch.equal(long[:, : short.shape[1]], short) for short, long in itertools.pairwise(codes))


def test_an_image_s_code_does_not_depend_on_its_batch(model: Alit) -> None:
    images = alit_images()
    alone = torch.cat([model.tokenize(image[None], 6).values for image in images])
    assert (alone == model.tokenize(images, 6).values).float().mean() > 0.98  # but for rounding


def test_iterations_that_nobody_asks_for_are_not_computed(model: Alit) -> None:
    calls: list[int] = []
    hook = model.encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].shape[1]))
    model.tokenize(alit_images(2), 4)
    hook.remove()
    assert calls == [1 + 16 + 2, 1 + 16 + 4]


@pytest.mark.parametrize("length", [0, 3, 10])
def test_lengths_that_there_are_not_are_told(model: Alit, length: int) -> None:
    with pytest.raises(
        ModelError, match=f"a code of {length} tokens was asked for; this tokenizer has lengths 2, 4, 6, 8"
    ):
        model.tokenize(alit_images(1), length)
    with pytest.raises(ModelError, match="was asked for"):
        model.detokenize(Ids(torch.zeros(1, length, dtype=torch.long)))


def test_other_images_are_told(model: Alit) -> None:
    with pytest.raises(ModelError, match=r"images have shape \(1, 3, 8, 8\), this tokenizer needs \(B, 3, 16, 16\)"):
        model.tokenize(torch.zeros(1, 3, 8, 8))


def test_continuous_latents_have_no_tokens() -> None:
    model, images = alit(latents="continuous"), alit_images(2)
    with pytest.raises(ModelError, match="tokenize needs a codebook"):
        model.tokenize(images)
    assert not hasattr(model, "quantize")
    latents = model.encode(images, 4)
    assert torch.equal(model.bottleneck(latents).vectors, latents)
    assert model.decode(latents).shape == images.shape


class TestHalting:
    """Which grid tokens are blanked, and what that changes."""

    def test_a_blanked_token_is_a_mask_token_with_its_position(self, model: Alit) -> None:
        state = model.start(alit_images(2))
        halted = torch.zeros(2, 16, dtype=torch.bool)
        halted[0, 5] = True
        caught: list[Tensor] = []
        hook = model.encoder.norm_recursive.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        model.encoder.next(state, halted)
        hook.remove()
        [x] = caught
        blank = model.encoder.positional_embedding[1 + 5] + model.encoder.mask_token[0, 0]
        torch.testing.assert_close(x[0, 1 + 5], blank)
        others = torch.ones(2, 17, dtype=torch.bool)
        others[0, 6] = False
        assert torch.equal(x[:, :17][others], state.sequence[:, :17][others])
        assert torch.equal(x[:, 17:19], state.sequence[:, 17:])

    def test_without_being_asked_for_there_is_none(self, model: Alit) -> None:
        images = alit_images(2)
        for one, other in zip(model.rollout(images), model.rollout(images, no_halting), strict=True):
            assert torch.equal(one.sequence, other.sequence)

    def test_given_masks_act_from_the_next_iteration_on(self, model: Alit) -> None:
        images = alit_images(2)
        masks = torch.zeros(4, 2, 16, dtype=torch.bool)
        masks[1, 0] = True
        plain, halted = list(model.rollout(images)), list(model.rollout(images, given_halting(masks)))
        same = [torch.equal(one.sequence, other.sequence) for one, other in zip(plain, halted, strict=True)]
        assert same == [True, True, False, False]

    def test_a_seed_gives_the_same_masks_again(self, model: Alit) -> None:
        images = alit_images(2)

        def last(seed: int) -> Tensor:
            *_, state = model.rollout(images, sampled_halting(seed, threshold=0.0))
            return state.sequence

        assert torch.equal(last(1), last(1))
        assert not torch.equal(last(1), last(2))

    def test_positions_halt_with_their_own_probability(self) -> None:
        probabilities = torch.tensor([[0.54, 0.55, 0.9, 1.0]])
        assert halting_mask(probabilities, torch.zeros(1, 4), 0.55).tolist() == [[False, True, True, True]]
        assert halting_mask(probabilities, torch.full((1, 4), 0.9), 0.55).tolist() == [[False, False, False, True]]

    def test_what_is_explained_is_the_true_code_s_probability(self) -> None:
        logits = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]]))
        torch.testing.assert_close(explained(logits, torch.tensor([[1, 2]])), torch.tensor([[0.2, 0.8]]))


def no_halting(iteration: int, probabilities: Tensor) -> Tensor:
    return torch.zeros_like(probabilities, dtype=torch.bool)


class TestStage1:
    """What its settings change."""

    def task(self, **losses: object) -> AlitStage1Task:
        torch.manual_seed(0)
        return AlitStage1Task(tiny.alit(), VQGAN(tiny.VQGAN_MODEL), LengthProxyLosses(**losses), settings())  # type: ignore[arg-type]

    def terms(self, task: AlitStage1Task, *counted: int, uniform: Tensor | None = None) -> dict[str, Tensor]:
        return task.terms(alit_images(4), uniform, frozenset(counted or range(4)))

    def test_the_loss_is_the_weighted_sum_over_lengths(self) -> None:
        task = self.task(length_weights=(3.0, 2.0), code_weight=0.5, quantizer_weight=0.25)
        terms = self.terms(task)
        expected = sum(
            weight * terms[f"tokens_{length}_proxy_code_loss"]
            + 0.5 * terms[f"tokens_{length}_code_loss"]
            + 0.25 * terms[f"tokens_{length}_quantizer_loss"]
            for length, weight in ((2, 3.0), (4, 2.0), (6, 2.0), (8, 2.0))
        )
        torch.testing.assert_close(terms["loss"].detach(), expected)

    def test_fewer_iterations_count_and_others_get_no_gradient(self) -> None:
        task = self.task(decoded_iterations=1)
        terms = self.terms(task, 1)
        assert [name for name in terms if name.endswith("proxy_code_loss")] == ["tokens_4_proxy_code_loss"]
        terms["loss"].backward()
        embedding = task.model.encoder.iteration_embedding.grad
        assert embedding is not None
        assert [bool(each.any()) for each in embedding] == [True, True, False, False]
        numbers = torch.Generator().manual_seed(0)
        drawn = {min(task._counted(numbers)) for _ in range(60)}
        assert drawn == {0, 1, 2, 3}

    def test_halting_trains_the_mask_token_and_without_it_it_stands_still(self) -> None:
        task = self.task()
        self.terms(task, uniform=torch.zeros(4, 3, 16))["loss"].backward()
        grad = task.model.encoder.mask_token.grad
        assert grad is not None
        assert grad.any()
        assert not self.task(halting=False).model.encoder.mask_token.requires_grad

    def test_the_base_stays_as_it_is(self) -> None:
        task = self.task()
        self.terms(task)["loss"].backward()
        assert all(value.grad is None for value in task.model.base.parameters())
        assert not any(name.startswith("base.") for name in task.players["model"].parameters)

    def test_another_base_is_refused(self) -> None:
        other = tiny.VQGAN_MODEL.model_copy(update={"codebook_size": 17})
        with pytest.raises(ModelError, match="they must be equal"):
            AlitStage1Task(tiny.alit(), VQGAN(other), LengthProxyLosses(), settings())

    def test_recomputed_activations_change_no_gradient(self) -> None:
        grads = []
        for recompute in (False, True):
            task = self.task()
            for module in task.model.modules():
                if hasattr(module, "recompute"):
                    module.recompute = recompute
            self.terms(task, uniform=torch.zeros(4, 3, 16))["loss"].backward()
            grads.append([value.grad for value in task.players["model"].parameters.values()])
        for one, other in zip(*grads, strict=True):
            torch.testing.assert_close(one, other)


def settings() -> Training:
    return tiny.training()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": 18}, "image_size is 18, no multiple of the 4 pixels of a code of the base"),
        ({"vqgan": tiny.VQGAN_MODEL.model_copy(update={"code_dim": 16})}, "transformer.width is 16, of which"),
        ({"iterations": 1}, "greater than or equal to 2"),
        ({"codebok_size": 5}, "Extra inputs"),
    ],
)
def test_settings_that_do_not_fit_are_told(changes: dict[str, object], said: str) -> None:
    good = alit().config.model_dump()
    vqgan = changes.get("vqgan")
    if vqgan is not None:
        changes = {"vqgan": vqgan.model_dump()}  # type: ignore[attr-defined]
    with pytest.raises(ValidationError, match=said):
        AlitModel.model_validate(good | changes)
