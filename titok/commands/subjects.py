"""What a record says of the thing that was scored: names come from whoever asks, the rest from the thing itself.

So a record cannot say that a model has 32 tokens when it has 16, whatever a study or a command line says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from titok.commands.outputs import facts_beside
from titok.config.generator_model import GeneratorModel
from titok.config.sampling import Sampler
from titok.models.facts import num_tokens
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.files import read_json


def of_tokenizer(model: ImageTokenizer, side: int) -> dict[str, Any]:
    """K of an image of ``side`` pixels, of the image that has the most, and V; null where there are no ids."""
    return {"num_latent_tokens": num_tokens(model, side), "codebook_size": model.facts.codebook_size}


def of_generator(model: GeneratorModel | Mapping[str, Any], sampler: Sampler | Mapping[str, Any]) -> dict[str, Any]:
    """Which transformer made how many tokens of what book, and how."""
    made, how = (one if isinstance(one, Mapping) else one.resolved() for one in (model, sampler))
    return {
        "generator_kind": made["kind"],
        "num_latent_tokens": made["num_tokens"],
        "codebook_size": made["codebook_size"],
        **{name: how[name] for name in ("num_steps", "guidance_scale", "mask_schedule")},
    }


def of_samples(samples: Path, training: Path | None) -> dict[str, Any]:
    """The same by what `titok sample` wrote beside its samples and by the generator's manifest; what is unknown is left
    out, as of samples of other programs."""
    beside = facts_beside(samples)
    sampler = _document(beside).get("protocol", {}).get("sampler") if beside.exists() else None
    model = _document(training).get("config", {}).get("model") if training else None
    if isinstance(sampler, dict) and isinstance(model, dict):
        return of_generator(model, sampler)
    return {}


def _document(path: Path) -> dict[str, Any]:
    found = read_json(path)
    return found if isinstance(found, dict) else {}
