"""ALIT against its official code, with weights by rule (tests/golden/README.md).

Run: pytest tests/models/test_alit_golden.py
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from golden.alit import (
    WHOLE,
    alit_tiny,
    copied,
    cut,
    document,
    images,
    needs_whole_folder,
    official_state,
    whole_array,
)
from torch import Tensor

from titok.models.alit import Alit
from titok.models.halting import explained, given_halting, halting_mask
from titok.models.length_choice import choose_lengths, mean_absolute_error
from titok.models.recurrent import State
from titok.models.vqgan import to_grid

pytestmark = pytest.mark.long
EVERY_PIXEL = "TITOK_TEST_EVERY_PIXEL" in os.environ
"""Decode the pixels of all lengths: two more minutes of a core. Logits are compared at all lengths in any case."""
PIXELS = {"eval": (0, 3, 7), "halt": (7,)}
TIES = 3
"""Positions, of a run's 16,384, whose two best base codes are so near that rounding decides; the folder says so."""


@pytest.fixture(scope="module")
def model() -> Alit:
    return alit_tiny()


@cache
def expected(rows: str) -> dict[str, np.ndarray]:
    """Of the first two images from here, or of all four."""
    return copied().outputs if rows == "copied" else whole_array("outputs.npz")


def halt_masks() -> Tensor:
    source = whole_array("inputs.npz") if WHOLE.is_dir() else copied().inputs
    return torch.from_numpy(source["halt_masks"])


def test_all_weights_are_those_of_the_rule() -> None:
    """Nothing else would be worth comparing."""
    state = official_state()
    found = {key: zlib.crc32(value.numpy().tobytes()) for key, value in state.items()}
    assert found == {key: entry["crc32"] for key, entry in copied().keys.items()}
    crcs = [zlib.crc32(image.numpy().tobytes()) for image in images()[:2]]
    assert crcs == copied().inputs["x_crc32"].tolist()


@pytest.fixture(scope="module")
def found(model: Alit) -> dict[str, Tensor]:
    """Everything that the folder has numbers of, uncut but for the pixels."""
    batch = images()
    features = model.base.encode(batch)
    arrays = {
        "base/h": to_grid(features),
        "base/gt_indices": model.base.tokenize(batch).values,
        "base/enc_in_t0": first_input(model, features, batch),
    }
    arrays |= dict(run(model, "eval", batch, arrays["base/gt_indices"], None))
    arrays |= dict(run(model, "halt", batch, arrays["base/gt_indices"], halt_masks()))
    arrays |= dict(continuous_run(batch[:2]))
    return arrays


def first_input(model: Alit, features: Tensor, batch: Tensor) -> Tensor:
    """What the blocks get first, caught on its way."""
    caught: list[Tensor] = []
    hook = model.encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    model.start(batch, features)
    hook.remove()
    return caught[0]


def run(
    model: Alit, name: str, batch: Tensor, base_codes: Tensor, masks: Tensor | None
) -> Iterator[tuple[str, Tensor]]:
    """A rollout over all lengths, with the pixels of each."""
    state: State | None = None
    for state in model.rollout(batch, None if masks is None else given_halting(masks)):
        at = f"{name}/t{state.iteration}/"
        yield f"{at}image_tokens", state.sequence[:, 1 : 1 + model.encoder.num_patches]
        yield f"{at}latents", model.encoder.latents(state)
        z = model.encoder(state)
        code = model.bottleneck(z)
        assert code.quantized is not None
        yield f"{at}z12", z
        yield f"{at}indices", code.quantized.indices
        yield f"{at}vq_loss", code.quantized.loss[None]
        logits = model.proxy_logits(code.vectors)
        yield f"{at}logits", logits
        yield f"{at}argmax", logits.argmax(-1)
        yield f"{at}soft_code", model.soft_codes(logits)
        yield f"{at}log_p_gt", logits.log_softmax(-1).gather(-1, base_codes[..., None])[..., 0]
        if EVERY_PIXEL or state.iteration in PIXELS[name]:
            restored = model.logits_to_images(logits)
            yield f"{at}recon", restored
            yield f"{at}l1", (restored - batch).abs().mean(dim=(1, 2, 3))
        if state.iteration + 1 < model.config.iterations:
            halted = None if masks is None else masks[state.iteration]
            yield f"{name}/t{state.iteration + 1}/enc_in", model.encoder.next_input(state, halted)


def continuous_run(batch: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Latents go to the decoder as they are."""
    model = alit_tiny(latents="continuous")
    for state in model.rollout(batch):
        if state.iteration not in (0, 7):
            continue
        z = model.encoder(state)
        code = model.bottleneck(z)
        assert code.quantized is None
        logits = model.proxy_logits(code.vectors)
        at = f"continuous/t{state.iteration}/"
        yield f"{at}z12", z
        yield f"{at}logits", logits
        yield f"{at}l1", (model.logits_to_images(logits) - batch).abs().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("rows", ["copied", pytest.param("whole", marks=needs_whole_folder)])
def test_every_number_of_every_length(found: dict[str, Tensor], rows: str) -> None:
    names = [name for name in expected(rows) if name.split("/")[0] not in ("encode", "haltrule")]
    names = [name for name in names if not name.endswith("index_margin")]
    assert len(names) == (183 if rows == "copied" else 199)
    undecoded = {name for name in names if name.endswith(("recon", "l1")) and name not in found}
    assert len(undecoded) == (0 if EVERY_PIXEL else 2 * (16 - 4))
    names = [name for name in names if name not in undecoded]
    ties = {"eval": 0, "halt": 0}
    for name in names:
        theirs = torch.from_numpy(expected(rows)[name])
        ours = cut(name, found[name][: len(theirs)]) if name in document("index.json") else found[name]
        if name.endswith("argmax"):
            ties[name.split("/")[0]] += int((ours != theirs).sum())
        elif not ours.is_floating_point():
            assert torch.equal(ours.int(), theirs.int()), name
        else:
            # The losses of a whole batch are no rows, so their tolerances lie with them.
            atol = document("index.json")[name]["atol"] if name in document("index.json") else 6e-7
            torch.testing.assert_close(ours, theirs, rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}")
    assert max(ties.values()) <= TIES, ties


def test_halting_by_probability() -> None:
    numbers = {name: torch.from_numpy(copied().outputs[f"haltrule/{name}"]) for name in ("p", "u", "mask_thr055")}
    assert torch.equal(halting_mask(numbers["p"], numbers["u"], 0.55), numbers["mask_thr055"].bool())


def test_the_probability_of_the_true_code(found: dict[str, Tensor]) -> None:
    ours = explained(found["eval/t0/logits"], found["base/gt_indices"])
    theirs = torch.from_numpy(expected("copied")["eval/t0/log_p_gt"]).exp()
    torch.testing.assert_close(ours[:2], theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rows", ["copied", pytest.param("whole", marks=needs_whole_folder)])
def test_the_shortest_code_below_a_threshold(model: Alit, rows: str) -> None:
    """Of single images, as the official rule has it; the first row of each image shows what comes if none is good."""
    table = expected(rows)["encode/table"]
    seen = [row for row in table if rows == "copied" or row[0] >= 2]
    assert len(seen) == 4
    for image, threshold, tokens, error in seen:
        chosen = choose_lengths(model, images()[int(image)][None], mean_absolute_error(float(threshold)))
        assert chosen.lengths.tolist() == [tokens], (image, threshold)
        np.testing.assert_allclose(chosen.measured.item(), error, rtol=0, atol=3e-5)
        assert chosen.met.item() == (error < threshold)
