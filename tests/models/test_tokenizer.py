"""TiTok as a whole at toy size: verbs, kinds, pixel lookup, gradients by stage.

Run: pytest tests/models/test_tokenizer.py
"""

from __future__ import annotations

import pytest
import torch

from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.errors import ModelError
from titok.models.image_tokenizer import Ids
from titok.models.quantizer import GaussianPosterior, Quantized
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN, to_grid

SIZE = TransformerSize(width=32, depth=2, num_heads=2)
PROXY = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 2), num_res_blocks=1, norm_groups=4, code_dim=8, codebook_size=24
)
KINDS = {
    "two_stage": {"head": "proxy_codes", "vqgan": PROXY},
    "single_stage": {"head": "pixels", "vqgan": None, "use_l2_norm": False},
    "vae": {"kind": "vae", "head": "pixels", "vqgan": None},
}


def build(kind: str, num_latent_tokens: int = 4, **changes: object) -> TiTok:
    torch.manual_seed(0)
    settings = {
        "image_size": 16, "patch_size": 4, "encoder": SIZE, "decoder": SIZE, "num_latent_tokens": num_latent_tokens,
        "codebook_size": 16, "code_dim": 6,
    }  # fmt: skip
    return TiTok(TokenizerModel(**{**settings, **KINDS[kind], **changes})).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("num_latent_tokens", [1, 2, 8, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind: str, num_latent_tokens: int, images: torch.Tensor) -> None:
    model = build(kind, num_latent_tokens)
    reconstruction, bottleneck = model(images)
    assert reconstruction.shape == images.shape
    if kind == "vae":
        assert isinstance(bottleneck, GaussianPosterior)
        assert bottleneck.mean.shape == (3, num_latent_tokens, 6)
        return
    assert isinstance(bottleneck, Quantized)
    tokens = model.tokenize(images).values
    assert tokens.shape == (3, num_latent_tokens)
    assert tokens.dtype == torch.int64
    torch.testing.assert_close(model.detokenize(Ids(tokens)), reconstruction, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.reconstruct(images).images, reconstruction)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_does_not_depend_on_its_batch(kind: str, images: torch.Tensor) -> None:
    model = build(kind)
    torch.testing.assert_close(model.encode(images)[1:2], model.encode(images[1:2]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        model.reconstruct(images).images[1:2], model.reconstruct(images[1:2]).images, atol=1e-5, rtol=1e-4
    )


def test_pixel_lookup(images: torch.Tensor) -> None:
    """Stage 1 decodes the best proxy code, stage 2 the expectation of raw rows (specification 11, pitfall 15)."""
    model = build("two_stage")
    logits = model.proxy_logits(model.quantize(model.encode(images)).z_quantized) * 20
    table = model.pixel_quantize.embedding.weight
    expected = torch.einsum("bpv,ve->bpe", logits.double().softmax(-1), table.double()).float()
    torch.testing.assert_close(
        model.logits_to_images(logits), model.pixel_decoder(to_grid(expected)), atol=1e-4, rtol=1e-4
    )
    model.pixel_lookup = "argmax"
    best = table[logits.argmax(-1)]
    torch.testing.assert_close(model.logits_to_images(logits), model.pixel_decoder(to_grid(best)))
    sure = torch.nn.functional.one_hot(torch.randint(24, (2, 16)), 24).float() * 1e4
    argmax = model.logits_to_images(sure)
    model.pixel_lookup = "soft"
    torch.testing.assert_close(model.logits_to_images(sure), argmax)


def test_adopted_pixel_decoder_decodes_like_the_vqgan() -> None:
    model, vqgan = build("two_stage", pixel_lookup="argmax"), VQGAN(PROXY).eval()
    codes = torch.randint(PROXY.codebook_size, (2, 16))
    logits = torch.nn.functional.one_hot(codes, PROXY.codebook_size).float()
    assert not torch.allclose(model.logits_to_images(logits).clamp(0, 1), vqgan.detokenize(Ids(codes)))
    model.adopt_pixel_decoder(vqgan)
    torch.testing.assert_close(model.logits_to_images(logits).clamp(0, 1), vqgan.detokenize(Ids(codes)))
    before = vqgan.quantize.embedding.weight.detach().clone()
    with torch.no_grad():
        model.pixel_quantize.embedding.weight.add_(1)
    assert torch.equal(vqgan.quantize.embedding.weight, before)


def parts_with_gradient(model: TiTok) -> set[str]:
    return {name for name, part in model.parts().items() if any(p.grad is not None and p.grad.any() for p in part)}


def test_gradients_reach_every_part_of_a_stage(images: torch.Tensor) -> None:
    stage1 = build("two_stage")
    quantized = stage1.quantize(stage1.encode(images))
    (stage1.proxy_logits(quantized.z_quantized).logsumexp(-1).mean() + quantized.loss).backward()
    assert parts_with_gradient(stage1) == {"encoder", "latent_tokens", "codebook", "decoder"}

    stage2 = build("two_stage")
    stage2.detokenize(stage2.tokenize(images)).square().mean().backward()
    assert parts_with_gradient(stage2) >= {"decoder", "pixel_decoder"}
    assert not parts_with_gradient(stage2) & {"encoder", "latent_tokens"}

    vae = build("vae")
    reconstruction, posterior = vae(images, noise=torch.randn(3, 4, 6))
    (reconstruction.square().mean() + posterior.kl().mean()).backward()
    assert parts_with_gradient(vae) == {"encoder", "latent_tokens", "decoder"}


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_a_partition(kind: str) -> None:
    model = build(kind)
    members = [id(parameter) for part in model.parts().values() for parameter in part]
    assert sorted(members) == sorted(id(parameter) for parameter in model.parameters())


def test_vae_samples_only_with_given_noise(images: torch.Tensor) -> None:
    model = build("vae")
    mean = model.decode(model.posterior(images).mean)
    torch.testing.assert_close(model.reconstruct(images).images, mean)
    zero, noise = torch.zeros(3, 4, 6), torch.randn(3, 4, 6)
    torch.testing.assert_close(model(images, noise=zero)[0], mean)
    assert not torch.allclose(model(images, noise=noise)[0], mean)


def test_vae_latents_take_the_way_of_tokens(images: torch.Tensor) -> None:
    model = build("vae")
    mean, logvar = model.posterior(images)
    assert mean.shape == logvar.shape == (3, 4, 6)
    torch.testing.assert_close(logvar, model.encode(images)[..., 6:].clamp(-30, 20))
    torch.testing.assert_close(model.decode(mean), model.reconstruct(images).images)


def test_codebook_from_data_is_used_widely(images: torch.Tensor) -> None:
    """With codes drawn from the encoder's outputs every one of them is somebody's nearest."""
    model = build("single_stage", 16)
    z = model.encode(images)
    model.quantize.init_from(z, torch.Generator().manual_seed(0))
    assert len(model.tokenize(images).values.unique()) == 16


def test_construction_follows_the_seed() -> None:
    first, second = build("two_stage").state_dict(), build("two_stage").state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    embedding = first["quantize.embedding.weight"]
    assert embedding.abs().max() <= 1 / 16
    assert embedding.abs().max() > 0.9 / 16


@pytest.mark.parametrize("kind", KINDS)
def test_compiles_without_graph_breaks(kind: str, images: torch.Tensor) -> None:
    model = build(kind)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images)[0], model(images)[0])


def test_errors_say_what_to_do(images: torch.Tensor) -> None:
    with pytest.raises(ModelError, match=r"\(3, 3, 8, 16\).*needs \(B, 3, 16, 16\)"):
        build("two_stage").encode(images[:, :, :8])
    with pytest.raises(ModelError, match=r"tokenize needs ids, and this TiTok has none: .*posterior\(images\)\.mean"):
        build("vae").tokenize(images)
    with pytest.raises(ModelError, match="turns images into ids and has no posterior; use tokenize"):
        build("single_stage").posterior(images)
    with pytest.raises(ModelError, match="proxy_logits needs head 'proxy_codes'"):
        build("single_stage").proxy_logits(torch.zeros(1, 4, 6))
    with pytest.raises(ModelError, match="they must be equal"):
        build("two_stage").adopt_pixel_decoder(VQGAN(PROXY.model_copy(update={"codebook_size": 25})))


PATCHES = {"latents": "patches", "num_latent_tokens": 16}


def test_patches_are_the_tokens_of_a_2d_titok(images: torch.Tensor) -> None:
    model = build("single_stage", **PATCHES)
    tokens = model.tokenize(images)
    assert tokens.values.shape == (3, 16)
    torch.testing.assert_close(model.detokenize(tokens), model(images)[0], atol=1e-5, rtol=1e-4)
    assert "latent_tokens" not in model.parts()
    owned = [parameter for part in model.parts().values() for parameter in part]
    assert {id(one) for one in owned} == {id(one) for one in model.parameters()}
    assert [name for name, _ in model.named_parameters() if "latent_token" in name or "mask_token" in name] == []


def test_a_2d_titok_is_a_titok_less_what_only_latent_tokens_need() -> None:
    """The same transformers: what Table 3c compares is where the tokens are, nothing else."""
    one, two = (build("single_stage", **more).state_dict() for more in ({}, PATCHES))
    only_of_one = {
        "latent_tokens", "encoder.latent_token_positional_embedding", "decoder.latent_token_positional_embedding",
        "decoder.mask_token",
    }  # fmt: skip
    assert one.keys() - two.keys() == only_of_one
    assert two.keys() <= one.keys()
    assert all(one[name].shape == two[name].shape for name in two)


def test_a_patchs_latent_is_where_the_patch_is(images: torch.Tensor) -> None:
    """Without blocks nothing mixes: one changed patch changes one latent, and one latent one patch of the image."""
    model = build("single_stage", **PATCHES)
    model.encoder.blocks, model.decoder.blocks = torch.nn.ModuleList(), torch.nn.ModuleList()
    other = images.clone()
    other[:, :, 4:8, 8:12] = 1 - other[:, :, 4:8, 8:12]
    with torch.no_grad():
        changed = (model.encode(images) - model.encode(other)).abs().amax(dim=(0, 2)) > 0
        assert changed.nonzero().flatten().tolist() == [6]
        latents = model.encode(images)
        moved = latents.clone()
        moved[:, 6] += 1
        far = (model.decode(latents) - model.decode(moved)).abs().amax(dim=(0, 1)) > 0
    rows, columns = far.nonzero().T
    # The head's last 3 x 3 convolution reaches one pixel over the patch's border.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 8, 7, 12)


def test_a_2d_titok_may_be_a_vae(images: torch.Tensor) -> None:
    assert build("vae", **PATCHES).posterior(images).mean.shape == (3, 16, 6)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "single_stage",
            {"num_latent_tokens": 4},
            r"num_latent_tokens is 4, .* has 16 of 4; set num_latent_tokens: 16",
        ),
        ("two_stage", {}, r"latents is 'patches' with head 'proxy_codes' .*\(recipe: single_stage\)"),
        ("single_stage", {"latent_layout": "interleaved"}, "latent_layout 'interleaved'; allowed"),
    ],
)
def test_what_patches_cannot_be(kind: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(kind, **{**PATCHES, **changes})
