"""The generator's task: what the model is shown, and with whose random numbers."""

from __future__ import annotations

from typing import Any

import torch
from training.tiny import build, tokens, tokens_with_lengths

from titok.generation.masking import MaskingDraws
from titok.models.token_space import own_tokens
from titok.runtime.seed import generator
from titok.training.generator import GeneratorTask


def shown(task: GeneratorTask, stream: int) -> dict[str, Any]:
    """Inputs of the model's forward pass."""
    seen: dict[str, Any] = {}
    handle = task.model.register_forward_pre_hook(
        lambda _, inputs: seen.update(zip(("tokens", "labels", "drop"), inputs, strict=True))
    )
    next(task.updates(tokens().batch(0), 0, generator(0, "step", stream)))
    handle.remove()
    return seen


def test_masks_come_from_the_steps_generator() -> None:
    task, _, _ = build("generator_vit")
    assert isinstance(task, GeneratorTask)
    first, again, other = shown(task, 1), shown(task, 1), shown(task, 2)
    assert torch.equal(first["tokens"], again["tokens"])
    assert not torch.equal(first["tokens"], other["tokens"])
    batch = tokens().batch(0)
    masked = first["tokens"] == task.model.token_space.mask_id
    assert masked.any(dim=1).all()
    assert torch.equal(first["tokens"][~masked], batch.tokens[~masked])
    assert torch.equal(first["labels"], batch.labels)


def test_recorded_draws_replace_the_generator() -> None:
    task, _, _ = build("generator_vit")
    assert isinstance(task, GeneratorTask)
    task.draw = lambda batch_size, num_tokens, rng: MaskingDraws(
        torch.zeros(batch_size), torch.rand(batch_size, num_tokens), torch.tensor([0.0, 1.0] * (batch_size // 2))
    )
    seen = shown(task, 1)
    assert (seen["tokens"] == task.model.token_space.mask_id).all(), "progress 0 masks everything"
    assert seen["drop"].tolist() == [True, False] * 4


def terms(batch: Any, **changes: Any) -> dict[str, torch.Tensor]:
    """Loss and accuracy of a step of the generator of several lengths, whose dropout is off."""
    task, _, _ = build("generator_lengths")
    assert isinstance(task, GeneratorTask)
    [turn] = task.eval().updates(batch._replace(**changes), 0, generator(0, "step", 1))
    return turn.terms


def test_of_images_with_fewer_tokens_the_rest_decides_nothing() -> None:
    batch = tokens_with_lengths().batch(0)
    assert batch.lengths is not None
    own = own_tokens(batch.lengths, 6)
    assert not own.all()
    found = terms(batch)
    for stranger in (0, 15, 65_535):
        again = terms(batch, tokens=torch.where(own, batch.tokens, stranger))
        assert all(torch.equal(again[name], found[name]) for name in found)
    assert not torch.equal(terms(batch, lengths=batch.lengths.clamp(max=2))["loss"], found["loss"])


def test_where_all_have_the_most_it_is_the_task_of_one_length() -> None:
    batch = tokens().batch(0)
    one, several = (build(name)[0].eval() for name in ("generator_vit", "generator_lengths"))
    several.load_state_dict(one.state_dict(), strict=False)
    [expected], [found] = (list(task.updates(batch, 0, generator(0, "step", 1))) for task in (one, several))
    torch.testing.assert_close(found.terms["loss"], expected.terms["loss"], rtol=1e-6, atol=0.0)
    assert torch.equal(found.terms["accuracy"], expected.terms["accuracy"])
