"""The columns of the listed tables: which metric, read from which records, beside which column of the paper.

A table of whole systems has more columns than a page is wide, so that it is shown in parts, one below the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from titok.records.record import Kind


@dataclass(frozen=True)
class Column:
    """One metric of a table.

    Attributes:
        metric: its key in the records.
        kind: of the records it is read from.
        paper: the paper's column that stands beside it.
        is_fact: a property of the subject (a count), equal whatever the protocol.
        title: replaces the metric's own name.
    """

    metric: str
    kind: Kind
    paper: str | None = None
    is_fact: bool = False
    title: str | None = None


@dataclass(frozen=True)
class Layout:
    """A table's title, its parts (title -> columns), and the metric whose ordering is compared with the paper's."""

    title: str
    parts: Mapping[str, Sequence[Column]]
    ordered_by: str | None = None

    @property
    def columns(self) -> list[Column]:
        """Of all parts."""
        return [column for part in self.parts.values() for column in part]


TOKENS = Column("num_latent_tokens", "reconstruction", "num_latent_tokens", is_fact=True)
CODEBOOK = Column("codebook_size", "reconstruction", "codebook_size", is_fact=True)
TOKENIZER_PARAMETERS = Column("parameters", "reconstruction", is_fact=True, title="tokenizer parameters")
RFID = Column("rfid", "reconstruction", "rfid")
RFID_INFINITY = Column("rfid_infinity", "reconstruction")
GFID = Column("gfid", "generation", "gfid")
GFID_INFINITY = Column("gfid_infinity", "generation")
INCEPTION_SCORE = Column("inception_score_adm", "generation", "inception_score")
"""The paper's is ADM's, ten splits of 5,000; the released evaluator's one split lies 2 to 3 % above it."""
ACCURACY = Column("classifier_accuracy", "reconstruction")
AGREEMENT = Column("class_agreement", "generation")

SYSTEMS: dict[str, Sequence[Column]] = {
    "Reconstruction": (TOKENIZER_PARAMETERS, TOKENS, CODEBOOK, RFID, RFID_INFINITY),
    "Generation": (
        Column("generator_parameters", "generation", "generator_params_m", is_fact=True),
        GFID,
        GFID_INFINITY,
    ),
    "Samples": (INCEPTION_SCORE, AGREEMENT),
    "Speed": (
        Column("num_steps", "generation", "num_steps", is_fact=True),
        Column("sampling_images_per_second", "generation", "samples_per_second_a100"),
        Column("sampling_gflop", "generation"),
    ),
}
"""Whole systems, from the image to samples."""

LAYOUTS: dict[str, Layout] = {
    "table1": Layout("Table 1. Variants: reconstruction, generation and speed", SYSTEMS, ordered_by="rfid"),
    "table2": Layout("Table 2. Variants at twice the resolution", SYSTEMS, ordered_by="rfid"),
    "table3a": Layout(
        "Table 3a. From the base to the final tokenizer",
        {"": (TOKENS, CODEBOOK, RFID, Column("psnr", "reconstruction"), Column("ssim", "reconstruction"), ACCURACY)},
        ordered_by="rfid",
    ),
    "table3b": Layout("Table 3b. Mask schedules", {"": (GFID, INCEPTION_SCORE, AGREEMENT)}, ordered_by="gfid"),
    "table3c": Layout(
        "Table 3c. Training paradigms",
        {"": (TOKENIZER_PARAMETERS, TOKENS, RFID, Column("psnr", "reconstruction"), ACCURACY)},
        ordered_by="rfid",
    ),
    "table5": Layout(
        "Table 5. With and without guidance",
        {"": (Column("guidance_scale", "generation", is_fact=True), GFID, INCEPTION_SCORE, AGREEMENT)},
        ordered_by="gfid",
    ),
    "sampling_rules": Layout(
        "Sampling rules on one generator",
        {
            "": (
                Column("num_steps", "generation", is_fact=True),
                Column("guidance_scale", "generation", is_fact=True),
                GFID,
                INCEPTION_SCORE,
                Column("precision", "generation"),
                Column("recall", "generation"),
                AGREEMENT,
            )
        },
    ),
    "model_zoo": Layout(
        "Model zoo. Released tokenizers beyond the paper",
        {
            "Size and distance": (TOKENIZER_PARAMETERS, TOKENS, CODEBOOK, RFID, RFID_INFINITY),
            "Pixels and codes": (
                Column("psnr", "reconstruction"),
                Column("ssim", "reconstruction"),
                Column("lpips", "reconstruction"),
                Column("codebook_usage", "reconstruction"),
            ),
        },
        ordered_by="rfid",
    ),
}
