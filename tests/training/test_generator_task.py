"""The generator's task: what the model is shown, and with whose random numbers."""

from __future__ import annotations

from typing import Any

import torch
from training.tiny import build, tokens

from titok.generation.masking import MaskingDraws
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
