"""Probe features: what is read, how it is pooled, accuracy, and what is refused."""

from __future__ import annotations

import pytest
import torch
from models.alit_toys import alit, alit_images

from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.config.probe import Reading
from titok.data.transforms import from_uint8
from titok.errors import ScoreError
from titok.evaluation.probe_features import FeatureReader, pool_latents, probe_accuracies
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN

CPU = torch.device("cpu")
SIZE = TransformerSize(width=8, depth=1, num_heads=2, init_std=0.5)
ALL = [
    Reading(of=of, pooling=pooling) for of in ("bottleneck", "width", "codes") for pooling in ("mean", "concatenate")
]
MEAN = Reading(of="bottleneck", pooling="mean")


class Encoder:
    """(B, 3, 4, 4) -> 6 tokens of 8 channels."""

    config = None

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images.reshape(len(images), 6, 8)

    tokenize = detokenize = encode
    readable = frozenset({"bottleneck"})

    def read(self, images: torch.Tensor, wanted: object) -> dict[str, torch.Tensor]:
        return {"bottleneck": self.encode(images)}


def titok(**changes: object) -> TiTok:
    torch.manual_seed(0)
    settings = {
        "image_size": 8,
        "patch_size": 4,
        "encoder": SIZE,
        "decoder": SIZE,
        "num_latent_tokens": 3,
        "code_dim": 5,
    }
    settings |= {"codebook_size": 16, "head": "pixels", "vqgan": None}
    return TiTok(TokenizerModel.model_validate(settings | changes)).eval()


IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_pooling() -> None:
    latents = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert pool_latents(latents, "mean").tolist() == [[2.0, 4.0]]
    assert pool_latents(latents, "concatenate").tolist() == [[1.0, 2.0, 3.0, 6.0]]


@pytest.mark.parametrize("layout", ["per_token", "interleaved"])
def test_each_reading_is_what_its_name_says(layout: str) -> None:
    """Of a two-stage encoder, too, the width is a token's own, before its layout mixes the tokens."""
    model = titok(latent_layout=layout)
    found = FeatureReader(model, ALL, CPU).by_name(IMAGES)
    with torch.no_grad():
        width = model.features(IMAGES)
        latents = model.encode(IMAGES)
        codes = model.quantize.lookup(model.tokenize(IMAGES).values)
    assert width.shape == (4, 3, 8)
    for of, values in (("bottleneck", latents), ("width", width), ("codes", codes)):
        torch.testing.assert_close(found[f"{of}_mean"], values.mean(dim=1))
        torch.testing.assert_close(found[f"{of}_concatenate"], values.flatten(1))
    if layout == "per_token":
        torch.testing.assert_close(model.encoder.to_latent(width), latents)
    else:
        assert (model.encoder.to_latent(width) - latents).abs().max() > 1e-3


def test_all_readings_take_one_pass_and_lie_side_by_side() -> None:
    model, calls = titok(), []
    model.encoder.register_forward_pre_hook(lambda *call: calls.append("whole"))
    model.encoder.norm_post.register_forward_hook(lambda *call: calls.append("pass"))
    reader = FeatureReader(model, ALL, CPU)
    features = reader(IMAGES)
    assert calls == ["pass"]
    assert torch.equal(features, torch.cat(list(reader.by_name(IMAGES).values()), dim=1))
    assert list(reader.by_name(IMAGES)) == [reading.name for reading in ALL]


def test_every_length_is_read_in_the_same_pass() -> None:
    model, calls = titok(tail_drop="uniform"), []
    model.encoder.norm_post.register_forward_hook(lambda *call: calls.append("pass"))
    reader = FeatureReader(model, [MEAN], CPU, (1, 2))
    found = reader.by_name(IMAGES)
    assert calls == ["pass"]
    assert list(found) == ["bottleneck_mean", "at_1", "at_2"]
    latents = model.encode(IMAGES).detach()
    torch.testing.assert_close(found["at_1"], latents[:, 0])
    torch.testing.assert_close(found["at_2"], latents[:, :2].mean(dim=1))
    torch.testing.assert_close(found["bottleneck_mean"], latents.mean(dim=1))


def test_every_length_of_an_alit_is_of_its_own_iteration() -> None:
    model, images = alit(), alit_images(3)
    passes: list[str] = []
    model.encoder.blocks[0].register_forward_hook(lambda *call: passes.append("iteration"))
    whole = Reading(of="bottleneck", pooling="concatenate")
    found = FeatureReader(model, [whole], CPU, model.config.lengths[:-1]).by_name(images)
    assert len(passes) == model.config.iterations, "one rollout for all lengths"
    for length in model.config.lengths:
        name = "bottleneck_concatenate" if length == model.config.num_latent_tokens else f"at_{length}"
        torch.testing.assert_close(found[name], model.encode(images, length).detach().flatten(1))


def test_an_alit_has_what_a_titok_has() -> None:
    model, images = alit(), alit_images(3)
    found = FeatureReader(model, ALL, CPU).by_name(images)
    *_, last = model.rollout(images)
    codes = model.quantize.lookup(model.tokenize(images).values).detach()
    torch.testing.assert_close(found["codes_concatenate"], codes.flatten(1))
    width = model.encoder.features(last).detach()
    assert width.shape[2] == model.config.transformer.width
    torch.testing.assert_close(found["width_mean"], width.mean(dim=1))
    torch.testing.assert_close(model.encoder.to_latent(width), model.encode(images))


def test_accuracies_over_batches() -> None:
    batches = [(torch.eye(4), torch.tensor([0, 1, 2, 0])), (torch.eye(4)[:2], torch.tensor([0, 1]))]
    found = probe_accuracies(lambda features: {"a": features, "b": features.flip(1)}, batches, CPU)
    assert found == {"a": 5 / 6, "b": 1 / 6}
    with pytest.raises(ScoreError, match="no images to probe"):
        probe_accuracies(lambda features: {"a": features}, [], CPU)


def test_latents_that_are_no_numbers_are_refused() -> None:
    broken = torch.zeros(4, 3, 4, 4)
    broken[3, 0, 0, 0] = torch.nan
    with pytest.raises(ScoreError, match="1 of 4 images have latents that are NaN"):
        FeatureReader(Encoder(), [MEAN], CPU)(broken)


@pytest.mark.parametrize("pooling", ["mean", "concatenate"])
def test_features_are_pooled_latents_of_images_of_any_kind(pooling: str) -> None:
    images = torch.randint(0, 256, (5, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected = pool_latents(Encoder().encode(from_uint8(images)), pooling)
    reader = FeatureReader(Encoder(), [Reading.model_validate({"of": "bottleneck", "pooling": pooling})], CPU)
    for given in (images, from_uint8(images)):
        assert torch.equal(reader(given), expected)


def test_what_a_model_does_not_have() -> None:
    vqgan = VQGAN(VQGANModel(channels=4, channel_multipliers=(1, 2), num_res_blocks=1, code_dim=4, norm_groups=2))
    with pytest.raises(ScoreError, match="asks for width, which this VQGAN has not; allowed for it: of: bottleneck"):
        FeatureReader(vqgan, [MEAN, Reading(of="width", pooling="mean")], CPU)
    with pytest.raises(ScoreError, match="asks for codes, which this TiTok has not"):
        FeatureReader(titok(kind="vae"), [Reading(of="codes", pooling="mean")], CPU)
