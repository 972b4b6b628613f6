"""Reduced precision without training: every weight is cast once, and nothing else changes."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from training.tiny import GENERATOR, VQGAN_MODEL, titok

from titok.config.sampling import Sampler
from titok.generation.generate import generate
from titok.models.generator import build_generator
from titok.models.image_tokenizer import Ids
from titok.models.vqgan import VQGAN
from titok.runtime.precision import inference

CPU = torch.device("cpu")
SAMPLER = Sampler(num_steps=3, guidance_scale=1.0, choice_temperature=1.0)


class Casts(TorchDispatchMode):
    """Counts conversions of the weights of some modules to another type."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self._names = {value.data_ptr(): name for module in modules for name, value in module.named_parameters()}
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default and args[0].data_ptr() in self._names:
            self.counts[self._names[args[0].data_ptr()]] += 1
        return func(*args, **(kwargs or {}))


def frozen(module: nn.Module) -> Any:
    return module.eval().requires_grad_(False)


def vit() -> tuple[list[nn.Module], Callable[[], torch.Tensor]]:
    torch.manual_seed(0)
    generator, tokenizer = frozen(build_generator(GENERATOR)), frozen(titok(num_latent_tokens=6, pixel_lookup="soft"))
    return [generator, tokenizer], lambda: tokenizer.detokenize(Ids(generate(generator, [0, 1], SAMPLER)))


def uvit() -> tuple[list[nn.Module], Callable[[], torch.Tensor]]:
    torch.manual_seed(0)
    generator = frozen(build_generator(GENERATOR.model_copy(update={"kind": "uvit"})))
    return [generator], lambda: generate(generator, [0, 1], SAMPLER).float()


def vqgan() -> tuple[list[nn.Module], Callable[[], torch.Tensor]]:
    """Whose encoder computes in float32 in the middle of it all."""
    torch.manual_seed(0)
    model = frozen(VQGAN(VQGAN_MODEL))
    images = torch.rand(2, 3, 16, 16)
    return [model], lambda: model.detokenize(model.tokenize(images))


@pytest.mark.parametrize("made", [vit, uvit, vqgan])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_every_weight_is_cast_once(made: Callable[..., Any], precision: str) -> None:
    models, work = made()
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    with torch.no_grad(), torch.autocast("cpu", dtype), Casts(*models) as casts:
        expected = [work(), work()]
    assert max(casts.counts.values()) > 1, "frozen weights are cast again and again by autocast alone"
    with inference(CPU, precision, *models), Casts(*models) as casts:
        found = [work(), work()]
    assert set(casts.counts.values()) == {1}
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert not any(image.requires_grad for image in found)


def test_models_are_as_frozen_as_before() -> None:
    (generator, tokenizer), _ = vit()
    tokenizer.latent_tokens.requires_grad_(True)
    with contextlib.suppress(KeyboardInterrupt), inference(CPU, "bf16", generator, tokenizer, object()):
        assert all(value.requires_grad for value in generator.parameters())
        raise KeyboardInterrupt
    assert not any(value.requires_grad for value in generator.parameters())
    assert [name for name, value in tokenizer.named_parameters() if value.requires_grad] == ["latent_tokens"]


def test_full_precision_is_no_autocast() -> None:
    models, work = vit()
    with inference(CPU, "fp32", *models):
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.is_grad_enabled()
        assert not any(value.requires_grad for model in models for value in model.parameters())
        assert work().dtype == torch.float32
