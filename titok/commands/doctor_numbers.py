"""Numbers of the released code that every installation must give again, for ``titok doctor``.

``doctor_numbers.npz`` and ``.json`` (85 KB) are copies of arrays in ``tests/golden``, made by the released code at
commit 942a96f in float32 on a CPU; weights are made by `titok.runtime.rule`. Letters as in `titok.models`.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from titok.commands.doctor_finding import Finding, Status
from titok.commands.image_files import ImageFileError, read_image
from titok.config.sampling import Sampler
from titok.data.transforms import from_uint8, pixels
from titok.generation.generate import generate
from titok.generation.noise import NoiseKind
from titok.models.generator import MaskGIT
from titok.models.hub import load
from titok.models.image_tokenizer import ImageTokenizer, TokenFacts
from titok.models.published import PublishedFormatError
from titok.models.quantizer import VectorQuantizer
from titok.models.released import Kind, Model, empty_model, filled, to_released
from titok.runtime.device import describe_device, select_device
from titok.runtime.download import DownloadError
from titok.runtime.driver import installed_driver, why_no_gpu
from titok.runtime.files import FileError, load_npz
from titok.runtime.rule import block_image, noise_image, rule_state_dict
from titok.runtime.weights import WeightsError

DATA = Path(__file__).with_suffix(".npz")
LOGITS_TOLERANCE = 1e-4
"""Logits of the tiny generators differ by 3e-6 between thread counts and devices; wrong arithmetic by far more."""
NEARLY_ALL = 28
"""Of the 32 published tokens: they were made with TF32, which can move a few to a neighbouring code."""

L32 = TokenFacts(image_size=256, most_tokens=32, codebook_size=4096)


def numbers(options: argparse.Namespace) -> Iterator[Finding]:
    """Everything that needs torch, from small to large."""
    device = select_device(options.device)
    yield check_driver(torch.version.cuda, installed_driver(), torch.cuda.device_count(), options.device)
    yield check_device(device)
    for kind in ("vit", "uvit"):
        yield from check_generator(kind, device)
    for case in ("l2", "nol2"):
        yield check_quantizer(case, device)
    if options.full:
        yield check_tokenizer(device)
    if options.weights is not None:
        yield from check_weights(options.weights, options.config, options.image, device)
    elif options.image:
        yield Finding("published tokens", "fail", "--image needs --weights, the folder or file of TiTok-L-32")


class RecordedNoise:
    """The noise of a golden run: one numpy stream, drawn in call order."""

    def __init__(self, seed: int) -> None:
        self._draws = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        """As `titok.generation.noise.NoiseStream.uniform`."""
        values = self._draws.random((len(sample_indices), *shape), dtype=np.float32)
        return torch.from_numpy(values).to(sample_indices.device)


def check_driver(cuda: str | None, driver: str | None, gpus: int, device: str) -> Finding:
    """Whether torch can use the GPUs that there are; without a driver there are none.

    ``cuda``: what torch was built for. ``gpus``: how many it sees. ``device``: what the doctor is to look at.
    """
    if gpus:
        return Finding("driver", "ok", f"{driver or 'version unknown'}, CUDA {cuda}, {gpus} GPU(s)")
    if driver is None:
        return Finding("driver", "ok", f"none, so there is no GPU: {why_no_gpu(cuda, driver)}")
    return Finding("driver", "warn" if device == "cpu" else "fail", f"no GPU can be used: {why_no_gpu(cuda, driver)}")


def check_device(device: torch.device) -> Finding:
    """A matrix product in float32 is as exact as float32 allows, and finite in bfloat16."""
    draws = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=draws) for _ in range(2))
    exact = left.double() @ right.double()
    error = float(((left.to(device) @ right.to(device)).cpu().double() - exact).abs().max() / exact.abs().max())
    coarse = (left.to(device, torch.bfloat16) @ right.to(device, torch.bfloat16)).isfinite().all()
    facts = ", ".join(f"{key} {value}" for key, value in describe_device(device).items())
    if error > 1e-5 or not coarse:
        return Finding("device", "fail", f"matrix products are off by {error:.1e} ({facts})")
    return Finding("device", "ok", facts)


def facts() -> dict[str, Any]:
    """Settings and seeds behind the arrays."""
    return json.loads(DATA.with_suffix(".json").read_text(encoding="utf-8"))


def rule_model(kind: Kind, settings: dict[str, Any], device: torch.device) -> Model:
    """The model of a released config with weights made by rule."""
    empty = empty_model(kind, settings["config"], DATA)
    shapes = {key: tuple(tensor.shape) for key, tensor in to_released(empty).items()}
    return filled(empty, rule_state_dict(shapes, settings["multipliers"]), DATA).to(device)


def check_generator(name: str, device: torch.device) -> list[Finding]:
    """Logits, and the ids of every sampling step under recorded noise, of a tiny ``vit`` or ``uvit``."""
    settings, arrays = facts()["generators"][name], load_npz(DATA)
    model = cast(MaskGIT, rule_model("generator", settings, device))
    tokens, labels = (
        torch.from_numpy(arrays[f"{name}/{key}"].astype(np.int64)).to(device) for key in ("input_ids", "condition")
    )
    worst = 0.0
    with torch.no_grad():
        for half, condition in (("cond", labels), ("uncond", None)):
            logits = model(tokens, condition).cpu().numpy()
            worst = max(worst, float(np.abs(logits - arrays[f"{name}/logits_{half}"]).max()))
    steps: list[Tensor] = []
    sampler, noise = Sampler.model_validate(settings["sampler"]), RecordedNoise(settings["noise_seed"])
    generate(model, settings["labels"], sampler, noise, trace=lambda _, ids: steps.append(ids.cpu()))
    wrong = _count_different(torch.stack(steps).numpy(), arrays[f"{name}/ids_per_step"])
    return [
        Finding(
            f"{name} generator: logits",
            "ok" if worst <= LOGITS_TOLERANCE else "fail",
            f"largest difference {worst:.1e}, allowed {LOGITS_TOLERANCE:.0e}",
        ),
        Finding(f"{name} generator: sampling", *_verdict(wrong, f"ids in {len(steps)} steps")),
    ]


def check_quantizer(case: str, device: torch.device) -> Finding:
    """Indices of the vector quantizer with (``l2``) and without (``nol2``) normalisation."""
    arrays = {key: array for key, array in load_npz(DATA).items() if key.startswith(f"quantizer/{case}/")}
    codebook, z, indices = (arrays[f"quantizer/{case}/{key}"] for key in ("codebook", "z", "indices"))
    quantizer = VectorQuantizer(*codebook.shape, use_l2_norm=case == "l2")
    quantizer.load_state_dict({"embedding.weight": torch.from_numpy(codebook)})
    latents = torch.from_numpy(z[:, :, 0]).transpose(1, 2)
    found = quantizer.to(device)(latents.to(device)).indices.cpu().numpy()
    return Finding(f"quantizer, {case}", *_verdict(_count_different(found, indices[:, 0]), "ids"))


def check_tokenizer(device: torch.device) -> Finding:
    """Tokens of two images by a tokenizer of official size (S-128, 84 million weights)."""
    model = cast(ImageTokenizer, rule_model("tokenizer", facts()["s128"], device))
    images = torch.from_numpy(np.stack([noise_image(1234), block_image(1235)])).to(device)
    wrong = _count_different(model.tokenize(images).values, load_npz(DATA)["s128/ids"])
    return Finding("S-128 tokenizer: tokens", *_verdict(wrong, "ids"))


def check_weights(source: str, config: Path | None, images: Iterable[Path], device: torch.device) -> Iterator[Finding]:
    """The real TiTok-L-32 gives the published tokens of the published images."""
    try:
        model = load(source, config=config, device=device)
    except (FileError, WeightsError, PublishedFormatError, DownloadError) as error:
        yield Finding("weights", "fail", str(error))
        return
    if not isinstance(model, ImageTokenizer) or model.facts != L32:
        yield Finding("weights", "fail", f"{source} is no TiTok-L-32, which the published tokens are from")
        return
    yield Finding("weights", "ok", f"{source}: {sum(weight.numel() for weight in model.parameters()):,} numbers")
    for image in images:
        yield check_published_image(model, image, device)


def check_published_image(model: ImageTokenizer, file: Path, device: torch.device) -> Finding:
    """The 32 tokens that the authors published for an image, by the real TiTok-L-32."""
    try:
        image = read_image(file)
    except ImageFileError as error:
        return Finding(f"published tokens: {file.name}", "fail", str(error))
    checksum = zlib.crc32(np.asarray(image).tobytes())
    known = {entry["rgb_crc32"]: entry for entry in facts()["published_l32"]}
    if checksum not in known:
        files = " or ".join(entry["file"] for entry in known.values())
        detail = f"these are not the pixels of {files} (assets of the released code)"
        return Finding(f"published tokens: {file.name}", "fail", detail)
    found = model.tokenize(from_uint8(pixels(image))[None].to(device)).values
    wrong = _count_different(found, np.array([known[checksum]["token_ids"]]))
    status, detail = _verdict(wrong, "published ids")
    if wrong and found.shape[1] - wrong >= NEARLY_ALL:
        status, detail = "warn", f"{detail}; a few may differ, because the published ones were made with TF32"
    return Finding(f"published tokens: {known[checksum]['file']}", status, detail)


def _count_different(found: Tensor | np.ndarray, expected: np.ndarray) -> int:
    return int((np.asarray(found.cpu() if isinstance(found, Tensor) else found) != expected).sum())


def _verdict(wrong: int, what: str) -> tuple[Status, str]:
    return ("fail", f"{wrong} {what} differ") if wrong else ("ok", f"all {what} equal")
