"""ALIT's official checkpoints: their names of parameters and their settings.

The official repository has no licence, so nothing of it is here: names and shapes are facts of the files. A checkpoint
is a dictionary whose ``ema`` has the averaged weights; those of stage 2 also hold eight adversaries with their LPIPS
(``gan_losses.``), which no tokenizer needs. It says nothing of its settings, so that they are read from its shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from titok.config.alit import ALIT_SIZES, AlitModel
from titok.config.model import TransformerSize, VQGANModel
from titok.models.published import BLOCK_NAMES, PublishedFormatError

FAMILY = "alit"
MARK = "timestep_embedding"
"""A parameter that no other family has."""
_TRAINING_PARTS = "gan_losses."

_BEGINNINGS = (
    ("base_tokenizer.vqgan.", "base."),
    ("encoder.transformer.", "encoder.blocks."),
    ("encoder_class_embedding", "encoder.class_embedding"),
    ("encoder_positional_embedding", "encoder.positional_embedding"),
    ("encoder_mask_token", "encoder.mask_token"),
    ("encoder_ln_pre.", "encoder.norm_pre."),
    ("encoder_ln_post.", "encoder.norm_post."),
    ("encoder_ln_recursive.", "encoder.norm_recursive."),
    ("latent_tokens", "encoder.latent_tokens"),
    ("latent_token_positional_embedding", "encoder.latent_token_positional_embedding"),
    (MARK, "encoder.iteration_embedding"),
    ("patch_embed.", "encoder.patch_embed."),
    ("pre_quantizer_mlp.", "encoder.to_latent."),
    ("decoder.transformer.", "decoder.blocks."),
    ("decoder_class_embedding", "decoder.class_embedding"),
    ("decoder_positional_embedding", "decoder.positional_embedding"),
    ("decoder_mask_token", "decoder.mask_token"),
    ("decoder.ln_pre.", "decoder.norm_pre."),
    ("decoder.ln_post.", "decoder.norm_post."),
    ("decoder.ffn.", "decoder.head."),
)
"""(official beginning of a name, ours)."""

_BASE = ((".mid.block_1.", ".mid.0."), (".mid.block_2.", ".mid.1."), (".upsample.conv.", ".upsample_conv."))
"""(official fragment, ours) within the base."""

_SETTINGS = {
    "img_size": "image_size",
    "num_init_latent_tokens": "tokens_per_iteration",
    "max_rollout_iters": "iterations",
    "vq_codebook_size": "codebook_size",
    "vq_token_dim": "code_dim",
    "vq_commitment_cost": "commitment_weight",
    "vq_use_l2_norm": "use_l2_norm",
}
"""Settings that only have another name: official, ours."""
_LATENTS = {(True, True): "quantized", (False, True): "continuous", (False, False): "unprojected"}
"""(quantize_latent, factorize_latent): latents. Quantising forces the projection."""


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state_dict from an official one, parts of the training left out; tensors are shared, not copied."""
    return {_renamed(key, 0): tensor for key, tensor in state.items() if not key.startswith(_TRAINING_PARTS)}


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The official names of our state_dict, the inverse of `from_official`."""
    return {_renamed(key, 1): tensor for key, tensor in state.items()}


def without_training_parts(state: Mapping[str, Tensor], latents: str) -> dict[str, Tensor]:
    """Official weights without the adversaries of stage 2, and without the codebook that continuous latents ignore."""
    left_out = (_TRAINING_PARTS,) if latents == "quantized" else (_TRAINING_PARTS, "quantize.")
    return {key: tensor for key, tensor in state.items() if not key.startswith(left_out)}


def config_from_official(config: Mapping[str, Any]) -> AlitModel:
    """The settings that official arguments say: ``model`` (`alit_small`), ``base``, ``quantize_latent``, ...

    Raises `PublishedFormatError` for another base than the VQGAN, and for sizes without a name.
    """
    if config.get("base", "vqgan") != "vqgan":
        raise PublishedFormatError(f"base is {config['base']!r}; only the VQGAN is supported here: base 'vqgan'")
    name = str(config["model"]).removeprefix(f"{FAMILY}_")
    if name not in ALIT_SIZES:
        raise PublishedFormatError(f"model is {config['model']!r}; known: {', '.join(_official_names())}")
    quantizes = bool(config.get("quantize_latent", True))
    latents = _LATENTS[quantizes, quantizes or bool(config.get("factorize_latent", True))]
    names = {ours: config[theirs] for theirs, ours in _SETTINGS.items() if theirs in config}
    return AlitModel.model_validate({"transformer": ALIT_SIZES[name], "latents": latents, **names})


def config_to_official(config: AlitModel) -> dict[str, Any]:
    """Official arguments of a model, the inverse of `config_from_official`.

    Raises `PublishedFormatError` for what the official code cannot express.
    """
    if config.vqgan != VQGANModel():
        raise PublishedFormatError(f"the base is {config.vqgan!r}; official models have the MaskGIT-VQGAN's sizes")
    quantizes, projects = next(flags for flags, latents in _LATENTS.items() if latents == config.latents)
    settings = {theirs: getattr(config, ours) for theirs, ours in _SETTINGS.items()}
    flags = {"quantize_latent": quantizes, "factorize_latent": projects}
    return {"model": f"{FAMILY}_{_size_name(config.transformer)}", "base": "vqgan", **flags, **settings}


def config_of_state(state: Mapping[str, Tensor]) -> AlitModel:
    """The settings that an official checkpoint's shapes betray; what shapes do not say has its official value.

    A checkpoint with a codebook is taken for a quantised one. Raises `PublishedFormatError` for sizes without a name.
    """
    try:
        iterations, added, width = state[MARK].shape
        positions = state["encoder_positional_embedding"].shape[0] - 1
    except (KeyError, ValueError) as error:
        raise PublishedFormatError(f"these are no official weights of ALIT: {error}; give config=") from error
    depth = len({key.split(".")[2] for key in state if key.startswith("encoder.transformer.")})
    size = next((each for each in ALIT_SIZES.values() if (each.width, each.depth) == (width, depth)), None)
    if size is None:
        raise PublishedFormatError(
            f"the weights have width {width} and {depth} layers, which no official size has, so the number of heads is "
            f"unknown; known: {', '.join(_official_names())}"
        )
    settings: dict[str, Any] = {"latents": "unprojected", "transformer": size, "iterations": iterations}
    settings |= {"tokens_per_iteration": added, "image_size": int(positions**0.5) * VQGANModel().downsampling}
    if "pre_quantizer_mlp.weight" in state:
        settings |= {"latents": "continuous", "code_dim": state["pre_quantizer_mlp.weight"].shape[0]}
    if "quantize.embedding.weight" in state:
        settings |= {"latents": "quantized", "codebook_size": state["quantize.embedding.weight"].shape[0]}
    return AlitModel.model_validate(settings)


def _official_names() -> list[str]:
    return [f"{FAMILY}_{name}" for name in ALIT_SIZES]


def _size_name(size: TransformerSize) -> str:
    shape = ("width", "depth", "num_heads", "mlp_ratio")
    for name, official in ALIT_SIZES.items():
        if all(getattr(official, key) == getattr(size, key) for key in shape):
            return name
    raise PublishedFormatError(f"{size!r} has no official name; official sizes: {', '.join(_official_names())}")


def _renamed(key: str, source: int) -> str:
    """``key`` of the names in column ``source`` (0: official, 1: ours) under the other column's name."""
    target = 1 - source
    names = next((names for names in _BEGINNINGS if key.startswith(names[source])), None)
    if names is not None:
        key = names[target] + key.removeprefix(names[source])
    fragments = _BASE if key.startswith(("base.", "base_tokenizer.")) else BLOCK_NAMES
    for fragment in fragments:
        key = key.replace(fragment[source], fragment[target])
    return key
