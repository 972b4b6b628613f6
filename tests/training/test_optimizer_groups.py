"""Which parameters each stage trains and decays, against the released code (golden `optimizer_groups`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import torch
from golden.rule import HERE
from torch import Tensor, nn
from training.tiny import pixel_losses, training

from titok.config.generator_model import GeneratorModel
from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.config.training import Adversarial, ProxyCodeLosses
from titok.losses.adversarial import AdversarialLoss
from titok.models import published, published_generators
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.training.optimizer import is_decayed
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task

GROUPS = json.loads((HERE / "optimizer_groups" / "groups.json").read_text())
SMALL = TransformerSize(width=8, depth=8, num_heads=2)
# The published depth with few channels: the names are the same.
THIN_VQGAN = VQGANModel(channels=2, norm_groups=1, code_dim=4, codebook_size=8)
S128 = TokenizerModel(
    encoder=SMALL,
    decoder=SMALL,
    num_latent_tokens=4,
    codebook_size=8,
    vqgan=THIN_VQGAN,
    latent_layout="interleaved",
    pixel_lookup="soft",
)


def sorted_names(model: nn.Module, rename: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> dict[str, list[str]]:
    """Published names of the parameters of each group, found by sending numbered tensors through the renaming."""
    parameters = dict(model.named_parameters())
    names = list(parameters)
    numbered = {name: torch.full_like(value, i) for i, (name, value) in enumerate(parameters.items())}
    groups: dict[str, list[str]] = {"no_decay": [], "decay": [], "frozen": []}
    for theirs, value in rename(numbered).items():
        ours = names[int(value.flatten()[0])]
        parameter = parameters[ours]
        group = "frozen" if not parameter.requires_grad else "decay" if is_decayed(ours, parameter) else "no_decay"
        groups[group].append(theirs)
    return groups


def tokenizer_groups(model: TiTok) -> dict[str, list[str]]:
    return sorted_names(model, lambda state: published.to_published(state, S128))


def generator_groups(config: GeneratorModel) -> dict[str, list[str]]:
    return sorted_names(build_generator(config), lambda state: published_generators.to_published(state, config))


def cases() -> Iterator[tuple[str, Callable[[], dict[str, list[str]]]]]:
    def stage1() -> dict[str, list[str]]:
        task = Stage1Task(TiTok(S128), VQGAN(THIN_VQGAN), ProxyCodeLosses(), training())
        groups = tokenizer_groups(task.model)
        # The released stage-1 model has no pixel decoder; ours carries a frozen copy.
        assert all(name.startswith(("pixel_quantize.", "pixel_decoder.")) for name in groups["frozen"])
        return {**groups, "frozen": []}

    def stage2() -> dict[str, list[str]]:
        return tokenizer_groups(Stage2Task(TiTok(S128), pixel_losses(0.0), training()).model)

    yield "stage1_s128", stage1
    yield "stage2_s128", stage2
    sizes = {"width": 8, "num_heads": 2, "depth": 2, "num_tokens": 4, "codebook_size": 8, "num_classes": 3}
    yield "generator_b64_vit", lambda: generator_groups(GeneratorModel(kind="vit", **sizes))
    yield "generator_uvit_structure", lambda: generator_groups(GeneratorModel(kind="uvit", **sizes))


@pytest.mark.parametrize(("name", "groups"), [pytest.param(*case, id=case[0]) for case in cases()])
def test_groups_are_those_of_the_released_code(name: str, groups: Callable[[], dict[str, list[str]]]) -> None:
    found = groups()
    for group in ("no_decay", "decay", "frozen"):
        assert sorted(found[group]) == sorted(GROUPS[name][group]), group


def test_the_discriminator_has_the_released_groups() -> None:
    expected = GROUPS["stage2_s128"]["discriminator"]
    parameters = dict(AdversarialLoss(Adversarial()).named_parameters())
    assert sum(value.numel() for value in parameters.values()) == expected["n_params"]
    for group, decayed in (("no_decay", False), ("decay", True)):
        assert [name for name, value in parameters.items() if is_decayed(name, value) == decayed] == expected[group]
