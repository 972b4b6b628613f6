"""Numbers of the released code that every installation must give again, for ``titok doctor``.

``doctor_golden.npz`` and ``.json`` (85 KB) are copies of arrays in ``tests/golden``, made by the released code at
commit 942a96f in float32 on a CPU; weights are made by `titok.runtime.rule`. Letters as in `titok.models`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from titok.commands.image_files import read_image
from titok.config.sampling import Sampler
from titok.data.transforms import from_uint8, pixels
from titok.generation.generate import generate
from titok.generation.noise import NoiseKind
from titok.models.generator import MaskGIT
from titok.models.quantizer import VectorQuantizer
from titok.models.released import Kind, Model, empty_model, filled, to_released
from titok.models.tokenizer import TiTok
from titok.runtime.files import load_npz
from titok.runtime.rule import block_image, noise_image, rule_state_dict

DATA = Path(__file__).with_name("doctor_golden.npz")
LOGITS_TOLERANCE = 1e-4
"""Logits of the tiny generators differ by 3e-6 between thread counts and devices; wrong arithmetic by far more."""
NEARLY_ALL = 28
"""Of the 32 published tokens: they were made with TF32, which can move a few to a neighbouring code."""

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table."""

    check: str
    status: Status
    detail: str


class RecordedNoise:
    """The noise of a golden run: one numpy stream, drawn in call order."""

    def __init__(self, seed: int) -> None:
        self._draws = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        """As `titok.generation.noise.NoiseStream.uniform`."""
        values = self._draws.random((len(sample_indices), *shape), dtype=np.float32)
        return torch.from_numpy(values).to(sample_indices.device)


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
    model = cast(TiTok, rule_model("tokenizer", facts()["s128"], device))
    images = torch.from_numpy(np.stack([noise_image(1234), block_image(1235)])).to(device)
    wrong = _count_different(model.tokenize(images), load_npz(DATA)["s128/ids"])
    return Finding("S-128 tokenizer: tokens", *_verdict(wrong, "ids"))


def check_published_image(model: TiTok, file: Path, device: torch.device) -> Finding:
    """The 32 tokens that the authors published for an image, by the real TiTok-L-32."""
    image = read_image(file)
    checksum = zlib.crc32(np.asarray(image).tobytes())
    known = {entry["rgb_crc32"]: entry for entry in facts()["published_l32"]}
    if checksum not in known:
        files = " or ".join(entry["file"] for entry in known.values())
        detail = f"these are not the pixels of {files} (assets of the released code)"
        return Finding(f"published tokens: {file.name}", "fail", detail)
    found = model.tokenize(from_uint8(pixels(image))[None].to(device))
    wrong = _count_different(found, np.array([known[checksum]["token_ids"]]))
    status, detail = _verdict(wrong, "published ids")
    if wrong and found.shape[1] - wrong >= NEARLY_ALL:
        status, detail = "warn", f"{detail}; a few may differ, because the published ones were made with TF32"
    return Finding(f"published tokens: {known[checksum]['file']}", status, detail)


def _count_different(found: Tensor | np.ndarray, expected: np.ndarray) -> int:
    return int((np.asarray(found.cpu() if isinstance(found, Tensor) else found) != expected).sum())


def _verdict(wrong: int, what: str) -> tuple[Status, str]:
    return ("fail", f"{wrong} {what} differ") if wrong else ("ok", f"all {what} equal")
