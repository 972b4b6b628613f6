"""Model folders: ``model.safetensors`` (weights) and ``config.json`` (what to build), as on the Hugging Face Hub.

Weight files may come from strangers: pickles are read without running anything in them, and weights that are no
finite numbers are refused.
"""

from __future__ import annotations

import argparse
import pickle
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from titok.errors import TitokError, some_of
from titok.runtime.files import FileError, atomic_path, existing_file, read_json, write_json
from titok.runtime.sums import sha256_json
from titok.runtime.weight_names import shared_beginning, unwrapped

WEIGHTS_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"
"""Where older releases keep their weights; read when there is no `WEIGHTS_FILE`."""
INDEX_ENDING = ".index.json"
"""After either name: the list of the parts that large weights were saved in."""
CONFIG_FILE = "config.json"
_CONFIG_SUM = "config_sha256"
_AVERAGED = "ema"
"""Where checkpoints that hold a training's state keep the averaged weights."""
_SHOWN_KEYS = 8
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""How files of ``torch.save`` begin, today's and those of before 2020."""


class WeightsError(TitokError):
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
    """The weights of a model folder, or the list of their parts; raises ``FileError`` when there are none."""
    directory = Path(directory)
    names = (WEIGHTS_FILE, PICKLE_FILE, WEIGHTS_FILE + INDEX_ENDING, PICKLE_FILE + INDEX_ENDING)
    found = next((directory / name for name in names if (directory / name).is_file()), None)
    others = sorted(
        path.name for ending in ("safetensors", "bin", "pt", "pth") for path in directory.glob(f"*.{ending}")
    )
    if found is None and others:
        raise FileError(
            f"{directory} has no {WEIGHTS_FILE}, but {', '.join(others[:_SHOWN_KEYS])}; name the file that is meant"
        )
    return existing_file(found or directory / WEIGHTS_FILE)


def files_of(weights: Path) -> list[Path]:
    """The files that the weights lie in: one, or a list of parts and these."""
    return [weights, *dict.fromkeys(_parts(weights).values())] if weights.name.endswith(INDEX_ENDING) else [weights]


def read_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], str | None]:
    """``(state_dict on the CPU, SHA-256 of its config or None)`` of a ``.safetensors`` file or a pickle.

    The list of several parts (``model.safetensors.index.json``) stands for all of them. Names are those of the model
    itself, without what wrappers put before them, which is told on standard error. Of the checkpoint of a training with
    averaged weights under ``ema`` these are read, which is told, too.

    Raises ``FileError`` when the file is missing or damaged, ``WeightsError`` when a pickle holds anything but tensors.
    """
    path = existing_file(path)
    if path.name.endswith(INDEX_ENDING):
        read, config_sum = _read_parts(path), None
    elif path.suffix == ".safetensors":
        read, config_sum = _read_safetensors(path)
    else:
        read, config_sum = _read_pickle(path), None
    state, removed = unwrapped(read)
    if removed:
        print(f"{path}: its names are of a wrapped model; read without {removed}", file=sys.stderr)
    return state, config_sum


def _parts(index: Path) -> dict[str, Path]:
    """Name of a tensor -> the part it lies in."""
    document = read_json(index)
    places = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise WeightsError(f"{index} has no weight_map, which says the part of each tensor; fetch it again")
    outside = sorted({name for name in places.values() if Path(name).name != name})
    if outside:
        raise WeightsError(f"{index} names the part {outside[0]!r}; parts lie beside their list: correct it")
    missing = sorted({name for name in places.values() if not index.with_name(name).is_file()})
    if missing:
        raise FileError(
            f"{index}: {len(missing)} of its {len(set(places.values()))} parts are not beside it "
            f"({', '.join(missing[:_SHOWN_KEYS])}); fetch them"
        )
    return {str(key): index.with_name(name) for key, name in places.items()}


def _read_parts(index: Path) -> dict[str, torch.Tensor]:
    places = _parts(index)
    state: dict[str, torch.Tensor] = {}
    for part in dict.fromkeys(places.values()):
        read = _read_safetensors(part)[0] if part.suffix == ".safetensors" else _read_pickle(part)
        state |= {key: tensor for key, tensor in read.items() if places.get(key) == part}
    absent = places.keys() - state.keys()
    if absent:
        raise WeightsError(f"{index} does not fit its parts: {_listing('in none of them', absent)}; fetch them again")
    return state


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
    with path.open("rb") as stream:
        start = stream.read(len(_ZIP))
    if start and not start.startswith((_ZIP, _PICKLE)):
        raise WeightsError(
            f"{path} is no file of weights, it begins with {start!r}; name a .safetensors file, one of torch.save, or "
            f"a model's folder"
        )
    try:
        # The command line of a training, which checkpoints hold, is a bare record: making it runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = f"loading it would call {wanted[1]}" if wanted else "it holds more than tensors"
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
    if isinstance(averaged := content.get(_AVERAGED), dict):
        print(f"{path} is a checkpoint; its averaged weights ({_AVERAGED}) are read, nothing else", file=sys.stderr)
        content = averaged
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
    unexpected, mis-shaped, quantised and not finite entries together.
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
    quantised = (
        f"{key} {given[key].dtype}"
        for key in wanted.keys() & given.keys()
        if wanted[key].is_floating_point() and not given[key].is_floating_point()
    )
    problems = [
        _listing("missing", wanted.keys() - given.keys()),
        _listing("unexpected", given.keys() - wanted.keys()),
        _listing("of another shape", misfits),
        _listing("of whole numbers (quantised? save them as floats)", quantised),
        _listing("with NaN or infinity", (key for key, tensor in given.items() if not torch.isfinite(tensor).all())),
    ]
    if any(problems):
        wrapper = shared_beginning(given)
        if wrapper and not shared_beginning(wanted).startswith(wrapper):
            problems.append(f"all its names begin with {wrapper!r}: save the state_dict of the model inside")
        raise WeightsError(
            f"weights of {where} do not fit {model}: {'; '.join(filter(None, problems))}. "
            f"Check that the settings are those the weights were trained with, and that the file is whole"
        )


def _listing(problem: str, keys: Iterable[str]) -> str:
    """``3 missing: a, b, c`` with at most a screenful of keys; empty for no keys."""
    keys = sorted(keys)
    if not keys:
        return ""
    return f"{len(keys)} {problem}: {some_of(keys, _SHOWN_KEYS)}"
