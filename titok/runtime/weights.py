"""Model folders: ``model.safetensors`` (weights) and ``config.json`` (what to build), as on the Hugging Face Hub.

Weight files may come from strangers: pickles are read without running anything in them, and weights that are no
finite numbers are refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from titok.runtime.files import FileError, atomic_path, existing_file, read_json, sha256_json, write_json

WEIGHTS_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"
"""Where older releases keep their weights; read when there is no `WEIGHTS_FILE`."""
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


def load_model(source: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """``(state_dict on the CPU, config)`` of a model folder, or of this very file of weights in one.

    Raises ``FileError`` when a file is missing or damaged and ``WeightsError`` when the two files are no pair.
    """
    weights = weights_file(source) if Path(source).is_dir() else existing_file(source)
    config = read_json(weights.with_name(CONFIG_FILE))
    if not isinstance(config, dict):
        raise WeightsError(f"{weights.with_name(CONFIG_FILE)} holds {type(config).__name__}, expected sections by name")
    state_dict, config_sum = read_weights(weights)
    check_pair(weights, config_sum, config)
    return state_dict, config


def check_pair(weights: Path, config_sum: str | None, config: Mapping[str, Any]) -> None:
    """Raises ``WeightsError`` unless ``weights`` was saved with ``config``; files from elsewhere carry no sum."""
    if config_sum not in (None, sha256_json(config)):
        raise WeightsError(
            f"{weights.parent}: {CONFIG_FILE} is not the one that {weights.name} was saved with "
            f"(its SHA-256 is {sha256_json(config)[:12]}, expected {str(config_sum)[:12]}); "
            f"copy both files of one run, or run the step that writes them"
        )


def weights_file(directory: str | Path) -> Path:
    """The weights of a model folder; raises ``FileError`` when there are none."""
    pickled, weights = (Path(directory) / name for name in (PICKLE_FILE, WEIGHTS_FILE))
    return existing_file(pickled if pickled.is_file() and not weights.exists() else weights)


def read_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], str | None]:
    """``(state_dict on the CPU, SHA-256 of its config or None)`` of a ``.safetensors`` file or a pickle.

    Raises ``FileError`` when the file is missing or damaged, ``WeightsError`` when a pickle holds anything but tensors.
    """
    path = existing_file(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else (_read_pickle(path), None)


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], str | None]:
    try:
        with safe_open(path, framework="pt", device="cpu") as archive:
            metadata = archive.metadata() or {}
            state_dict = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(
            f"{path} ({path.stat().st_size:,} bytes) is no readable safetensors file ({error}); "
            f"it was cut short or altered: fetch it again or run the step that writes it"
        ) from error
    return state_dict, metadata.get(_CONFIG_SUM)


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = f"loading it would call {wanted[1]}" if wanted else f"it holds more than tensors ({_first_line(error)})"
        raise WeightsError(
            f"{path} is refused: {what}. A file of weights never needs that; get it from a source you trust, "
            f"preferably as .safetensors"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, IndexError, TypeError, AttributeError) as error:
        raise FileError(
            f"{path} ({path.stat().st_size:,} bytes) is no readable file of weights ({_first_line(error)}); "
            f"it was cut short or altered: fetch it again"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds {type(content).__name__}, expected tensors by name (a state_dict)")
    strange = [str(key) for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise WeightsError(
            f"{path} is no plain state_dict: {_listing('without a tensor', strange)}; "
            f"save the state_dict of the model alone"
        )
    return {str(key): tensor for key, tensor in content.items()}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def load_state(model: torch.nn.Module, state_dict: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """Loads weights into ``model``, all or none; ``where`` names their origin in the error.

    A model that was built on the meta device gets the tensors themselves. Raises ``WeightsError`` that lists missing,
    unexpected, mis-shaped and not finite entries together.
    """
    wanted = model.state_dict()
    check_fit(wanted, state_dict, type(model).__name__, where)
    on_meta = any(tensor.is_meta for tensor in wanted.values())
    model.load_state_dict({key: state_dict[key].to(wanted[key].dtype) for key in wanted}, assign=on_meta)


def check_fit(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], model: str, where: str | Path
) -> None:
    """Raises ``WeightsError`` unless ``given`` has the keys and shapes of ``wanted`` and finite numbers only."""
    misfits = (
        f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted.keys() & given.keys()
        if wanted[key].shape != given[key].shape
    )
    problems = [
        _listing("missing", wanted.keys() - given.keys()),
        _listing("unexpected", given.keys() - wanted.keys()),
        _listing("of another shape", misfits),
        _listing("with NaN or infinity", (key for key, tensor in given.items() if not torch.isfinite(tensor).all())),
    ]
    if any(problems):
        raise WeightsError(
            f"weights of {where} do not fit {model}: {'; '.join(filter(None, problems))}. "
            f"Check that the settings are those the weights were trained with, and that the file is whole"
        )


def _listing(problem: str, keys: Iterable[str]) -> str:
    """``3 missing: a, b, c`` with at most a screenful of keys; empty for no keys."""
    keys = sorted(keys)
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return f"{len(keys)} {problem}: {', '.join(keys[:_SHOWN_KEYS])}{more}"
