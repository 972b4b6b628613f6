"""Model folders: ``model.safetensors`` (weights) and ``config.json`` (what to build), as on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from titok.runtime.files import FileError, atomic_path, existing_file, read_json, sha256_json, write_json

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
_CONFIG_SUM = "config_sha256"
_SHOWN_KEYS = 8


class WeightsError(Exception):
    """Weights and model do not belong together; the message lists the keys."""


def save_model(directory: str | Path, state_dict: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> None:
    """Writes a model folder; each file appears whole or not at all.

    ``config`` is plain data from which a caller can build the module again (its kind and its section). Its SHA-256
    goes into the weight file, so that a pair torn apart by a crash or by copying is noticed when loaded.
    """
    directory = Path(directory)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state_dict.items()}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    with atomic_path(directory / WEIGHTS_FILE, expected_bytes=size) as temporary:
        # A single entry: safetensors writes several in random order, and equal weights should give equal files.
        save_file(tensors, temporary, metadata={_CONFIG_SUM: sha256_json(config)})
    write_json(directory / CONFIG_FILE, config)


def load_model(directory: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """``(state_dict on the CPU, config)`` of a model folder.

    Raises ``FileError`` when a file is missing or damaged and ``WeightsError`` when the two files are no pair.
    """
    directory = Path(directory)
    config = read_json(directory / CONFIG_FILE)
    path = existing_file(directory / WEIGHTS_FILE)
    try:
        with safe_open(path, framework="pt", device="cpu") as archive:
            metadata = archive.metadata() or {}
            state_dict = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(
            f"{path} ({path.stat().st_size:,} bytes) is no readable safetensors file ({error}); "
            f"it was cut short or altered: fetch it again or run the step that writes it"
        ) from error
    # Files from elsewhere carry no sum; ours do.
    if metadata.get(_CONFIG_SUM, sha256_json(config)) != sha256_json(config):
        raise WeightsError(
            f"{directory}: {CONFIG_FILE} is not the one that {WEIGHTS_FILE} was saved with "
            f"(its SHA-256 is {sha256_json(config)[:12]}, expected {metadata[_CONFIG_SUM][:12]}); "
            f"copy both files of one run, or run the step that writes them"
        )
    return state_dict, config


def load_state(model: torch.nn.Module, state_dict: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """Loads weights into ``model``, all or none; ``where`` names their origin in the error.

    Raises ``WeightsError`` that lists missing, unexpected and mis-shaped keys together.
    """
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state_dict.items()}
    problems = [
        _listing("missing", wanted.keys() - given.keys()),
        _listing("unexpected", given.keys() - wanted.keys()),
        _listing(
            "of another shape",
            (
                f"{key} {given[key]} instead of {wanted[key]}"
                for key in wanted.keys() & given.keys()
                if wanted[key] != given[key]
            ),
        ),
    ]
    if any(problems):
        raise WeightsError(
            f"weights of {where} do not fit {type(model).__name__}: {'; '.join(filter(None, problems))}. "
            f"Check that the settings are those the weights were trained with"
        )
    model.load_state_dict(dict(state_dict))


def _listing(problem: str, keys: Iterable[str]) -> str:
    """``3 missing: a, b, c`` with at most a screenful of keys; empty for no keys."""
    keys = sorted(keys)
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return f"{len(keys)} {problem}: {', '.join(keys[:_SHOWN_KEYS])}{more}"
