"""One formula for guidance: logits = cond + s * (cond - uncond)."""

from __future__ import annotations

import pytest
import torch
from generation.fake_generators import TableGenerator
from golden.tiny_generators import TINY_GENERATORS, tiny_generator

from titok.generation.guidance import guided_logits


@pytest.mark.parametrize("name", TINY_GENERATORS)
@pytest.mark.parametrize("scale", [0.5, 4.5])
def test_formula_on_the_official_logits(name: str, scale: float) -> None:
    model, golden = tiny_generator(name)
    with torch.no_grad():
        found = guided_logits(
            model,
            torch.from_numpy(golden.inputs["input_ids"]).long(),
            torch.from_numpy(golden.inputs["condition"]).long(),
            scale,
        )
    conditional, unconditional = (torch.from_numpy(golden.outputs[f"logits_{half}"]) for half in ("cond", "uncond"))
    expected = conditional + scale * (conditional - unconditional)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4 * (1 + 2 * scale))


def test_scale_zero_is_the_conditional_half_and_runs_nothing_else() -> None:
    generator = TableGenerator()
    tokens, labels = torch.full((4, 6), 9), torch.tensor([0, 1, 2, 0])
    conditional = generator(tokens, labels)
    generator.batch_sizes.clear()
    assert torch.equal(guided_logits(generator, tokens, labels, 0.0), conditional)
    assert generator.batch_sizes == [4]
    guided_logits(generator, tokens, labels, 1.0)
    assert generator.batch_sizes == [4, 8], "both halves belong into one batch"


def test_logits_are_float32() -> None:
    generator = TableGenerator()
    generator.by_class, generator.by_count = generator.by_class.bfloat16(), generator.by_count.bfloat16()
    for scale in (0.0, 1.0):
        assert guided_logits(generator, torch.full((1, 6), 9), torch.tensor([0]), scale).dtype == torch.float32
