"""`load` and `save`: any model folder, released file or Hub repository to a module, and back.

What can be opened:

* a folder of our own (``config.json`` with a ``kind``) or in the released layout (``config.json`` of the release),
  with ``model.safetensors`` or ``pytorch_model.bin``;
* a bare file of weights with a released config (``config=``, or the ``config.json`` beside it);
* a name in ``config/sources.yaml`` or a repository of the Hugging Face Hub, downloaded when it is not in its cache.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, cast

import torch

from titok.config.load import read_yaml
from titok.config.sources import GENERAL_NAMES, SOURCES_FILE, Source, Sources, load_sources
from titok.models.classifier import Classifier
from titok.models.folder import build_model, own_config
from titok.models.generator import MaskGIT
from titok.models.image_tokenizer import ImageTokenizer
from titok.models.published import PublishedFormatError
from titok.models.released import build_released, released_form
from titok.models.vqgan import VQGAN
from titok.runtime.download import DownloadError, download
from titok.runtime.files import FileError, atomic_path, read_json, sha256_file, write_json
from titok.runtime.system_names import is_hidden
from titok.runtime.weights import (
    CONFIG_FILE,
    PICKLE_FILE,
    WEIGHTS_FILE,
    WeightsError,
    check_pair,
    load_state,
    read_weights,
    save_model,
    weights_file,
)

Model = ImageTokenizer | MaskGIT | Classifier
"""What can be opened and saved."""

_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def load(
    source: str | Path,
    *,
    config: str | Path | None = None,
    device: torch.device | str = "cpu",
    sha256: str | None = None,
    vqgan: VQGAN | None = None,
    sources: Path = SOURCES_FILE,
) -> Model:
    """The model in ``source``: a tokenizer of any family, a generator or a classifier, in eval mode and frozen.

    ``source``: a folder, a file of weights, a name in ``sources`` or a Hub repository (``owner/name``); an existing
    path comes first. ``config``: the released config (YAML or JSON) of a bare file. ``sha256``: what the file's sum
    must be; without it, the one in ``sources`` counts where the file, its folder or the repository has its name there.
    ``vqgan``: the pixel decoder of a released stage-1 tokenizer, whose file has none.

    Raises:
        FileError: a file is missing or damaged, or there is nothing of that name.
        WeightsError: another sum than the pinned one, weights that do not fit the config (all keys are listed) or are
            no finite numbers, or a pickle that would run code.
        PublishedFormatError: the config is no released one.
        DownloadError: the Hub cannot be reached and the files are not in its cache.
    """
    weights, pin = find(source, sources)
    expected = sha256 or (pin.sha256 if pin else None)
    if expected is not None:
        check_sha256(weights, expected)
    document = _read_config(Path(config)) if config is not None else _config_beside(weights)
    state, config_sum = read_weights(weights)
    if config is None and document is not None and weights.with_name(CONFIG_FILE).is_file():
        check_pair(weights, config_sum, document)
    if document is not None and "kind" in document:
        with torch.device("meta"):
            model = cast(Model, build_model(document, weights))
        load_state(model, state, weights)
        model.eval().requires_grad_(False)
    else:
        model = build_released(state, document, weights, vqgan)
    return model.to(device)


def save(
    model: Model,
    directory: str | Path,
    *,
    layout: Literal["released", "own"] = "released",
    weights: Literal["model.safetensors", "pytorch_model.bin"] = "model.safetensors",
) -> None:
    """Writes ``config.json`` and the weights of ``model`` into ``directory``; `load` opens both layouts.

    ``released``: names, shapes and config are those of the released code, whose classes load the folder. It cannot
    express every model (other transformer sizes, two-stage tokenizers with ``latent_layout: per_token``):
    these are refused, because the released code would compute something else from them without any error.
    ``own``: our own names, for any model.
    ``weights``: ``pytorch_model.bin`` is for released code that reads pickles only.

    Raises:
        PublishedFormatError: the released layout cannot express the model.
        WeightsError: ``own``, and no kind of model has its settings.
        FileError: the disk is full, or other weights in ``directory`` would hide these.
    """
    directory = Path(directory)
    if layout == "own":
        state, config = dict(model.state_dict()), own_config(model)
    else:
        try:
            state, config = released_form(model)
        except PublishedFormatError as error:
            raise PublishedFormatError(f"{error}. Our own format takes it: titok.save(..., layout='own')") from error
    if weights == WEIGHTS_FILE:
        save_model(directory, state, config)
        return
    if (directory / WEIGHTS_FILE).exists():
        raise FileError(f"{directory} holds {WEIGHTS_FILE}, which would be read instead of {weights}; remove it first")
    with atomic_path(directory / PICKLE_FILE) as temporary:
        torch.save({key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}, temporary)
    write_json(directory / CONFIG_FILE, config)


def find(source: str | Path, sources: Path = SOURCES_FILE) -> tuple[Path, Source | None]:
    """``(local file of weights, its entry in the list of sources or None)``; downloads what is only on the Hub."""
    path, text = Path(source), str(source)
    known = load_sources(sources) if sources.exists() else Sources(models={})
    if path.exists():
        path = weights_file(path) if path.is_dir() else path
        return path, known.of_file(path)
    entry = known.models.get(text) or known.of_repository(text)
    if entry is not None:
        return fetch(entry), entry
    if _REPOSITORY.fullmatch(text):
        try:
            return _fetch_unknown(text), None
        except DownloadError as error:
            error.add_note(f"There is no file or folder {text} here either")
            raise
    raise FileError(
        f"{text!r} is no file or folder here, no repository (owner/name) of the Hugging Face Hub and none of the names "
        f"in {sources}: {', '.join(known.models) or 'the list is missing'}"
    )


def fetch(source: Source, directory: Path | None = None) -> Path:
    """The weights of a source with their config beside them, in ``directory`` or the Hub's cache; see `download`."""
    if source.has_config and download(source.repository, CONFIG_FILE, directory) is None:
        raise DownloadError(f"{source.repository} has no {CONFIG_FILE}; correct `has_config` in {SOURCES_FILE.name}")
    weights = download(source.repository, source.file, directory)
    if weights is None:
        raise DownloadError(f"{source.repository} has no {source.file}; correct `file` in {SOURCES_FILE.name}")
    return weights


def check_sha256(weights: Path, expected: str) -> None:
    """Raises `WeightsError` unless ``weights`` has the SHA-256 ``expected``."""
    found = sha256_file(weights)
    if found != expected.lower():
        raise WeightsError(
            f"{weights} has SHA-256 {found}, but {expected} is pinned; it is another file than the one recorded: "
            f"fetch it again, or correct {SOURCES_FILE.name} if you know why it changed"
        )


def _fetch_unknown(repository: str) -> Path:
    """Weights of a repository that is in no list."""
    download(repository, CONFIG_FILE)
    for name in GENERAL_NAMES:
        weights = download(repository, name)
        if weights is not None:
            return weights
    raise DownloadError(f"{repository} has neither {' nor '.join(GENERAL_NAMES)}; download its file and name that")


def _config_beside(weights: Path) -> dict[str, Any] | None:
    """The config of a file of weights: ``config.json``, or the released YAML config that names the file."""
    if (weights.parent / CONFIG_FILE).is_file():
        return _read_config(weights.parent / CONFIG_FILE)
    for path in sorted(weights.parent.glob("*.yaml")):
        if is_hidden(path.name):
            continue
        document = _read_config(path)
        experiment = document.get("experiment")
        if isinstance(experiment, dict) and weights.name in experiment.values():
            return document
    return None


def _read_config(path: Path) -> dict[str, Any]:
    document = read_json(path) if path.suffix == ".json" else read_yaml(path)
    if not isinstance(document, dict):
        raise PublishedFormatError(f"{path} holds {type(document).__name__}, expected a config with named sections")
    return document
