"""Networks of timm by their names: built here, filled from files of this machine, never downloaded."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor, nn

from titok.runtime.files import existing_file, sha256_file
from titok.runtime.weights import WeightsError, load_state, read_weights

_MODES = ("bilinear", "bicubic")


def open_network(
    model: str, weights_path: str | Path, sha256: str | None, names: Literal["exact", "by_order"], **options: Any
) -> tuple[nn.Module, str]:
    """A network of timm with weights from a file, and the file's SHA-256.

    Args:
        sha256: the sum the file must have; null takes it as it is.
        names: whether tensors are known by timm's names or by their order.
        options: for timm's ``create_model``; with ``num_classes`` 0 the file may have a classifier, which nobody reads.

    Raises:
        WeightsError: timm has no such network, the file is another one, or does not fit it.
        FileError: the file is missing or damaged.
    """
    digest = verified_sum(model, existing_file(weights_path), sha256)
    network = build(model, **options)
    state, _ = read_weights(weights_path)
    if options.get("num_classes") == 0:
        state = without_classifier(state, network)
    load_state(network, in_order(state, network, weights_path) if names == "by_order" else state, weights_path)
    return network, digest


def without_classifier(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The tensors but for those of the classifier, by the names that timm's configuration of the network gives it."""
    stated = cast(Any, network).default_cfg.get("classifier") or ()
    names = (stated,) if isinstance(stated, str) else tuple(stated)
    return {name: value for name, value in state.items() if name.rpartition(".")[0] not in names}


def verified_sum(model: str, path: Path, sha256: str | None) -> str:
    """The file's SHA-256; raises `WeightsError` where another one was expected."""
    digest = sha256_file(path)
    if sha256 is not None and digest != sha256:
        raise WeightsError(
            f"weights of {model}, {path}, have SHA-256 {digest}, but {sha256} was expected; the file is damaged or "
            f"another one: fetch it again, or correct the encoder's sha256"
        )
    return digest


def build(model: str, **options: Any) -> nn.Module:
    """A network of timm by its name, its weights still random; raises `WeightsError` where timm has none such."""
    import timm  # 2 s that scores without an encoder should not pay

    if not timm.is_model(model):
        close = get_close_matches(model.split(".")[0], timm.list_models(), n=3)
        raise WeightsError(
            f"timm {timm.__version__} has no network called {model!r}; give one of timm.list_models() as the encoder's "
            f"model" + (f", such as {', '.join(close)}" if close else "")
        )
    try:
        return cast(nn.Module, timm.create_model(model, pretrained=False, **options))
    except (RuntimeError, ValueError, KeyError) as error:
        raise WeightsError(f"timm {timm.__version__} cannot build {model!r}: {error}; correct its tag") from error


def in_order(state: dict[str, Tensor], network: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """The tensors under the network's names, first to first; `load_state` compares the shapes."""
    wanted = list(network.state_dict())
    if len(state) != len(wanted):
        raise WeightsError(
            f"{path} holds {len(state)} tensors, {type(network).__name__} has {len(wanted)}: they cannot be matched by "
            f"their order; give weights with timm's names"
        )
    return dict(zip(wanted, state.values(), strict=True))


def preprocessing_of(network: nn.Module, model: str) -> dict[str, Any]:
    """What images become before the network sees them, by timm's data configuration."""
    from timm.data import resolve_data_config

    stated = resolve_data_config({}, model=network)
    if stated["interpolation"] not in _MODES or stated["input_size"][0] != 3:
        raise WeightsError(
            f"timm prepares images for {model!r} by {stated['interpolation']} to {stated['input_size']}; allowed here: "
            f"{' or '.join(_MODES)}, to three channels"
        )
    return {
        "size": list(stated["input_size"][1:]),
        "interpolation": stated["interpolation"],
        "antialias": True,
        "crop": None,
        "mean": list(stated["mean"]),
        "std": list(stated["std"]),
    }
