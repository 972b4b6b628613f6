"""The shortest code that is good enough, image by image, and no work beyond it.

Run: pytest tests/models/test_length_choice.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models.alit_toys import alit, alit_images
from torch import Tensor
from training.tiny import CLASSIFIER

from titok.evaluation.length_criteria import lpips_below, psnr_above, same_class
from titok.metrics.pixel import psnr
from titok.models.alit import Alit
from titok.models.classifier import Classifier
from titok.models.image_tokenizer import Ids
from titok.models.length_choice import Criterion, choose_lengths, mean_absolute_error


def all_lengths(model: Alit, images: Tensor, criterion: Criterion) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """By brute force, image by image and length by length: tokens, reconstructions, and measures (T, B)."""
    lengths = model.config.lengths
    tokens = [torch.cat([model.tokenize(image[None], each).values for image in images]) for each in lengths]
    restored = [torch.cat([model.detokenize(Ids(row[None])) for row in each]) for each in tokens]
    return tokens, restored, torch.stack([criterion.measure(images, each) for each in restored])


def threshold_between(measured: Tensor) -> float:
    """One that some images meet at once, some later, and some never."""
    ordered = measured.double().flatten().sort().values
    return float(
        ordered[len(ordered) // 3 : len(ordered) // 3 + 2].mean()
    )  # between two, so that rounding decides none


CRITERIA = {"l1": mean_absolute_error, "psnr": psnr_above}


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("otherwise", ["best", "longest"])
@pytest.mark.parametrize("latents", ["quantized", "continuous", "unprojected"])
def test_the_choice_is_that_of_brute_force(name: str, otherwise: str, latents: str) -> None:
    model, images = alit(latents=latents), alit_images()
    lengths = model.config.lengths
    any_threshold = CRITERIA[name](0.0)
    if latents == "quantized":
        tokens, restored, measured = all_lengths(model, images, any_threshold)
    else:
        tokens = [model.encode(images, length) for length in lengths]
        restored = [model.decode(each) for each in tokens]
        measured = torch.stack([any_threshold.measure(images, each) for each in restored])
    threshold = threshold_between(measured)
    criterion = CRITERIA[name](threshold)
    met = criterion.is_met(measured)
    assert met.any(dim=0).any()
    assert not met.any(dim=0).all(), "some image should fail"
    first = met.float().argmax(dim=0)
    nearest = measured.argmax(dim=0) if criterion.higher_is_better else measured.argmin(dim=0)
    fallback = nearest if otherwise == "best" else torch.full_like(first, len(lengths) - 1)
    expected = torch.where(met.any(dim=0), first, fallback)

    chosen = choose_lengths(model, images, criterion, otherwise=otherwise)  # type: ignore[arg-type]
    assert chosen.lengths.tolist() == [lengths[index] for index in expected]
    assert torch.equal(chosen.met, met.any(dim=0))
    for row, index in enumerate(expected.tolist()):
        length = lengths[index]
        torch.testing.assert_close(chosen.values[row, :length], tokens[index][row], rtol=1e-4, atol=1e-5)
        assert not chosen.values[row, length:].any()
        torch.testing.assert_close(chosen.images[row], restored[index][row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(chosen.measured[row], measured[index, row].float(), rtol=1e-4, atol=1e-5)
    searched = torch.where(met.any(dim=0), first + 1, len(lengths))
    assert torch.equal(chosen.decoded, searched)
    assert chosen.values.shape[1] == max(chosen.lengths)


def counted(model: Alit) -> dict[str, int]:
    counts = {"blocks": 0, "decoder": 0}

    def note(name: str):  # type: ignore[no-untyped-def]
        def hook(_module: object, inputs: tuple[Tensor, ...]) -> None:
            counts[name] += len(inputs[0])

        return hook

    model.encoder.blocks[0].register_forward_pre_hook(note("blocks"))
    model.decoder.register_forward_pre_hook(note("decoder"))
    return counts


def test_nothing_beyond_the_chosen_length_is_computed() -> None:
    model, images = alit(), alit_images()
    _, _, measured = all_lengths(model, images, mean_absolute_error(0.0))
    counts = counted(model)
    chosen = choose_lengths(model, images, mean_absolute_error(threshold_between(measured)))
    assert counts["decoder"] == counts["blocks"] == chosen.decoded.sum()
    assert counts["decoder"] < len(images) * model.config.iterations
    counts.update(blocks=0, decoder=0)
    easy = choose_lengths(model, images, mean_absolute_error(100.0))
    assert counts == {"blocks": len(images), "decoder": len(images)}
    assert (easy.lengths == model.config.lengths[0]).all()


def test_the_official_rule_has_one_length_for_a_batch() -> None:
    model, images = alit(), alit_images()
    _, _, measured = all_lengths(model, images, mean_absolute_error(0.0))
    means = measured.mean(dim=1)
    lowest = choose_lengths(model, images, mean_absolute_error(0.0), per_image=False)
    assert (lowest.lengths == model.config.lengths[int(means.argmin())]).all()
    for threshold in (float(means.max()) + 1e-4, float(means.sort().values[1]) + 1e-5):
        expected = model.config.lengths[int((means < threshold).float().argmax())]
        chosen = choose_lengths(model, images, mean_absolute_error(threshold), per_image=False)
        assert (chosen.lengths == expected).all()


def test_codes_of_chosen_lengths_decode_to_their_images() -> None:
    model, images = alit(), alit_images()
    _, _, measured = all_lengths(model, images, mean_absolute_error(0.0))
    chosen = choose_lengths(model, images, mean_absolute_error(threshold_between(measured)))
    assert len(set(chosen.lengths.tolist())) > 1
    torch.testing.assert_close(
        model.detokenize(Ids(chosen.values, chosen.lengths)), chosen.images, rtol=1e-4, atol=1e-5
    )


def test_psnr_is_measured_on_8_bit_images() -> None:
    images, restored = alit_images(3), alit_images(6)[3:] * 1.5 - 0.2
    bits = (restored.clamp(0, 1) * 255).round() / 255
    expected = psnr((images * 255).round() / 255, bits).float()
    torch.testing.assert_close(psnr_above(20.0).measure(images, restored), expected)


def test_lpips_and_a_class_as_criteria() -> None:
    class Distance:
        def of(self, restored: Tensor, originals: Tensor) -> Tensor:
            return (restored - originals).abs().amax(dim=(1, 2, 3))

    images = alit_images(4)
    found = lpips_below(Distance(), 0.5).measure(images, images + 0.1)
    np.testing.assert_allclose(found, 0.1, atol=1 / 255)
    torch.manual_seed(0)
    judge = Classifier(CLASSIFIER).eval()
    oracle = same_class(judge)
    assert oracle.is_oracle
    assert oracle.is_met(oracle.measure(images, images)).all()
    other = judge(images).argmax(-1) != judge(1 - images).argmax(-1)
    assert torch.equal(oracle.is_met(oracle.measure(images, 1 - images)), ~other)
