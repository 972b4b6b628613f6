"""Measurement protocols by name: complete records of everything that changes an rFID or a gFID (docs/protocols.md).

The same model gets another number from each of them. A study that names one gets all of its settings, may not
contradict them, and stores the name with every number; a table never mixes two.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

ProtocolName = Literal["titok-official", "adm", "llamagen", "maskbit", "clean-val"]


class Protocol(NamedTuple):
    """What one group of authors measures with; settings are those of a study's sections of the same names."""

    about: str
    source: str
    dataset: dict[str, Any]
    """How images are prepared."""
    evaluation: dict[str, Any]
    """How they are looked at and what is computed."""
    samples_against: Literal["training images", "reference file"]
    """What generated images are compared with; reconstructions are compared with their originals, always."""


def _evaluation(
    *, rounding: str, dtype: str, resize: str = "tensorflow1", distances: str | None = None
) -> dict[str, Any]:
    """Settings, with what all protocols share: the FID network, 50,000 samples, ten splits in file order, k = 3.

    ``distances`` are those of precision and recall; null where the authors publish neither, and a study may choose.
    """
    return {
        "extractor": {"kind": "inception", "dtype": dtype, "resize": resize},
        "rounding": rounding,
        "num_samples": 50_000,
        "inception_score_split_size": 5000,
        "precision_recall_neighbours": 3,
        "precision_recall_references": 10_000,
        **({} if distances is None else {"precision_recall_arithmetic": distances}),
    }


def _images(resize_rule: str) -> dict[str, Any]:
    return {"resize_rule": resize_rule}


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "titok-official": Protocol(
        about="rFID as the released TiTok evaluator computes it, gFID against ADM's reference",
        source="evaluator/evaluator.py and data/webdataset_reader.py of 1d-tokenizer at 942a96f; its README for gFID",
        dataset=_images("official"),
        evaluation=_evaluation(rounding="round", dtype="float64"),
        samples_against="reference file",
    ),
    "adm": Protocol(
        about="guided-diffusion's evaluator: 32-bit network, 16-bit distances, ADM's crop, its reference file",
        source="evaluations/evaluator.py of guided-diffusion at 22e0df8",
        dataset=_images("adm"),
        evaluation=_evaluation(rounding="truncate", dtype="float32", distances="float16-blocks"),
        samples_against="reference file",
    ),
    "llamagen": Protocol(
        about="as adm, but images are written as 127.5 x + 128 of [-1, 1]: 255 x + 0.5 of [0, 1], which rounds",
        source="tokenizer/tokenizer_image/reconstruction_vq_ddp.py of LlamaGen at ce98ec4, "
        "evaluations/c2i/evaluator.py at 5a50452",
        dataset=_images("adm"),
        evaluation=_evaluation(rounding="round", dtype="float32", distances="float16-blocks"),
        samples_against="reference file",
    ),
    "maskbit": Protocol(
        about="bilinear resize, truncation to 8 bits; samples against statistics of the training images",
        source="evaluator/evaluator.py and scripts/eval_tokenizer.py of maskbit at 42f8bb0",
        dataset=_images("bilinear"),
        evaluation=_evaluation(rounding="truncate", dtype="float64"),
        samples_against="training images",
    ),
    "clean-val": Protocol(
        about="as titok-official, with clean-fid's antialiased bicubic resize into the network; another metric",
        source="cleanfid/resize.py of clean-fid at e88c4d6",
        dataset=_images("official"),
        evaluation=_evaluation(rounding="round", dtype="float32", resize="clean"),
        samples_against="reference file",
    ),
}


def fill(name: ProtocolName, given: dict[str, Any]) -> dict[str, Any]:
    """Settings of `evaluation` with everything that the protocol fixes.

    Raises:
        ValueError: a setting is given that contradicts the protocol.
    """
    return _filled(given, PROTOCOLS[name].evaluation, name, "evaluation.")


def _filled(given: dict[str, Any], fixed: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    filled = dict(given)
    for key, value in fixed.items():
        if isinstance(value, dict):
            filled[key] = _filled(dict(given.get(key) or {}), value, name, f"{where}{key}.")
        elif given.get(key, value) != value:
            raise ValueError(
                f"{where}{key} is {given[key]!r}, but protocol {name!r} fixes it to {value!r}; remove one of the two"
            )
        else:
            filled[key] = value
    return filled
