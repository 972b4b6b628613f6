"""How anything is scored: whose features, how many images, what is refused (specification 10)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from titok.config.data import ResizeRule
from titok.config.detector import Detector
from titok.config.encoders import Encoder
from titok.config.protocols import PROTOCOLS, ProtocolName, fill
from titok.config.section import Fraction, KnownBy, Name, Neutral, NonNegativeInt, Operational, PositiveInt, Section
from titok.config.weight_files import WeightFile

Allowance = Literal["too_few_for_features", "unbalanced_classes", "constant_images", "duplicates"]
"""Findings that a study may let pass by name; each of them changes what a number means, so the protocol lists them."""


class Extractor(Section):
    """The frozen network whose features, logits or verdicts the scores are made of."""

    kind: Literal["classifier", "inception"] = "inception"
    """`classifier`: one trained in the study, never comparable with other papers. `inception`: the FID network."""
    classifier: Name | None = None
    """For kind `classifier`: which of the study's classifiers judges. Do not name one that a loss trains against."""
    weights: Annotated[str | None, KnownBy("sha256")] = None
    """For kind `inception`: path of the converted TF weights (`pt_inception-2015-12-05-6726825d.pth`)."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """For kind `inception`: the hash the weights file must have; null records the file's own."""
    dtype: Literal["float32", "float64"] = "float64"
    """For kind `inception`: arithmetic of the whole network. The official evaluator uses float64."""
    resize: Literal["tensorflow1", "clean", "pytorch-fid"] = "tensorflow1"
    """For kind `inception`: how images become 299 x 299. `tensorflow1`: bilinear without antialiasing, as the network
    of all published FIDs. `clean`: bicubic with antialiasing, as clean-fid. `pytorch-fid`: bilinear between pixels'
    centres, and 255 as 1 instead of 127/128, as pytorch-fid. Each is comparable with its own kind only."""

    @model_validator(mode="after")
    def _network_named(self) -> Self:
        if self.kind == "classifier" and self.classifier is None:
            raise ValueError("extractor.kind is 'classifier' but no classifier is named; set extractor.classifier")
        if self.kind == "inception" and self.classifier is not None:
            raise ValueError(
                f"extractor.kind is 'inception' but classifier is {self.classifier!r}; "
                f"remove it, or set extractor.kind: classifier"
            )
        if self.kind == "inception" and self.weights is None:
            raise ValueError(
                "extractor.kind is 'inception' but weights is null; set extractor.weights to the path of "
                "pt_inception-2015-12-05-6726825d.pth"
            )
        if self.kind == "classifier" and (self.weights is not None or self.sha256 is not None):
            raise ValueError(
                "extractor.kind is 'classifier', whose weights the study trains; remove extractor.weights and "
                "extractor.sha256"
            )
        return self


class ReferenceFile(Section):
    """Real images as somebody measured them: `mu` and `sigma` of their features, for sFID `mu_s` and `sigma_s`, and
    `arr_0`, the images that span the manifold of precision and recall (ADM's `VIRTUAL_imagenet256_labeled.npz`)."""

    path: Annotated[str, Field(min_length=1), KnownBy("sha256")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What its SHA-256 must be; null takes the file as it is (the sum found is part of the protocol either way)."""


class SampleChecks(Section):
    """What a set of samples must look like before it is scored."""

    max_duplicate_fraction: Fraction = 0.01
    """Largest share of samples that repeat an earlier one byte for byte."""
    max_constant_fraction: Fraction = 0.0
    """Largest share of samples whose pixels are all equal."""
    allow: tuple[Allowance, ...] = ()
    """Findings that do not stop the scoring."""


class KernelDistance(Section):
    """KID: between random subsets of the images (of at most `precision_recall_references` real ones)."""

    subsets: PositiveInt = 100
    subset_size: Annotated[int, Field(ge=2)] = 1000
    seed: NonNegativeInt = 2020


class DensityCoverage(Section):
    """Density and coverage, with the balls of at most `precision_recall_references` real images."""

    neighbours: PositiveInt = 5
    """k: a real image's ball reaches to its k-th nearest other one; 5 is the authors'."""


class MongeDistance(Section):
    """MIND: features sorted along random directions (of at most `precision_recall_references` real images)."""

    directions: PositiveInt = 1000
    seed: NonNegativeInt = 2020


class Lpips(Section):
    """LPIPS 0.1 on VGG16, as a score of reconstructions; the files of `titok fetch vgg16` and `lpips_heads`."""

    vgg16: WeightFile
    heads: WeightFile


class Uncertainty(Section):
    """How sure the numbers are, from the features of one pass."""

    resamples: PositiveInt = 1000
    """Bootstrap draws behind an interval."""
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Share of the draws inside it."""
    extrapolation_points: NonNegativeInt = 10
    """Subsets from a tenth of the images (five per feature at least) to all of them, for the distance at infinite N; 0:
    none."""
    seed: NonNegativeInt = 0
    within_classes: Annotated[bool, Neutral(False)] = False
    """Of samples: draws as many of each class as there are, as the sampler did. Without, an interval holds a scatter of
    classes that never happens, and is the wider the more of a metric lies between classes."""


class Evaluation(Section):
    """One protocol for every model of a study."""

    protocol: ProtocolName | None = None
    """A protocol of `titok.config.protocols`, whose settings take the place of those below; null: they are the study's
    own."""
    reference: ReferenceFile | None = None
    """What samples are compared with; null: the study's training images."""
    extractor: Extractor
    resize_rule: Annotated[ResizeRule | None, Neutral(None)] = None
    """How test images are cropped to be reconstructed, where that is otherwise than what trainings, tokens and probes
    see (`dataset.resize_rule`, which null stands for)."""
    rounding: Literal["round", "truncate"] = "round"
    """How reconstructions become 8-bit images: the official evaluator rounds, the official sampler truncates."""
    batch_size: Annotated[PositiveInt, Operational()] = 64
    """Images at once; changes nothing but rounding, so that another size scores nothing again. Records state it."""
    num_samples: PositiveInt = 50_000
    """Generated images per score; the protocol refuses any other number."""
    inception_score_split_size: PositiveInt = 5000
    """Images per split of the ADM Inception score, in file order (50,000 samples make ten splits)."""
    precision_recall_neighbours: PositiveInt = 3
    """k: an image's neighbourhood reaches to its k-th nearest neighbour."""
    precision_recall_references: PositiveInt = 10_000
    """At most this many real images, evenly spaced over the reference set, span the real manifold."""
    precision_recall_arithmetic: Annotated[Literal["float64", "float16-blocks"], Neutral("float64")] = "float64"
    """Of the distances behind precision and recall. `float16-blocks`: ADM's, float16 in blocks of 10,000, float32 where
    one overflows; published numbers come from it, and with Inception's features it gives a little more of both."""
    kid: KernelDistance | None = None
    """Null: no KID."""
    density_coverage: Annotated[DensityCoverage | None, Neutral(None)] = None
    """Null: neither density nor coverage."""
    mind: Annotated[MongeDistance | None, Neutral(None)] = None
    """Null: no MIND."""
    encoders: Annotated[dict[Name, Encoder], Neutral({})] = Field(default={})
    """Networks of timm by a name of the study's: a Frechet distance with each and, where `kid` is asked for, a KID."""
    lpips: Lpips | None = None
    """Null: no LPIPS."""
    detector: Annotated[Detector | None, Neutral(None)] = None
    """Whose finds reconstructions shall preserve; null: nobody looks."""
    uncertainty: Uncertainty | None = None
    """Null: no intervals."""
    checks: SampleChecks = SampleChecks()

    def of_reconstructions(self) -> Self:
        """Without what is read for generated images only: those settings are back at their defaults, and so is the
        `resize_rule`, which the job's dataset has."""
        unread = _defaults("reference", "num_samples", "inception_score_split_size", "resize_rule")
        kept: dict[str, Any] = {"checks": SampleChecks(allow=self.checks.allow)}
        if self.uncertainty is not None:
            kept["uncertainty"] = self.uncertainty.model_copy(update={"within_classes": False})
        return self.model_copy(update=unread | kept)

    def of_samples(self) -> Self:
        """Without what is read for reconstructions only."""
        judging = {name: encoder for name, encoder in self.encoders.items() if encoder.samples}
        unread = _defaults("rounding", "lpips", "resize_rule", "detector")
        return self.model_copy(update=unread | {"encoders": judging})

    def of_milestones(self) -> Self:
        """Of reconstructions while a model trains: what a milestone shows, without the metrics that a study may add.

        A training is told these settings, so that what it is not told cannot make it anew.
        """
        added = _defaults("kid", "density_coverage", "mind", "encoders", "lpips", "detector", "uncertainty")
        return self.of_reconstructions().model_copy(update=added)

    @model_validator(mode="after")
    def _encoders_have_names(self) -> Self:
        labels = [one.label for one in self.encoders.values()]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"encoders have the label {twice[0]!r} twice; nobody could tell their numbers apart")
        return self

    @model_validator(mode="after")
    def _intervals_are_of_all_images(self) -> Self:
        thinned = [name for name, encoder in self.encoders.items() if encoder.one_of > 1]
        if self.uncertainty is not None and thinned:
            raise ValueError(
                f"encoders.{thinned[0]}.one_of is {self.encoders[thinned[0]].one_of}, but uncertainty draws from all "
                f"images; set one_of: 1, or uncertainty: null"
            )
        return self

    @model_validator(mode="after")
    def _subsets_fit(self) -> Self:
        smallest = min(self.num_samples, self.precision_recall_references)
        if self.kid is not None and self.kid.subset_size > smallest:
            raise ValueError(
                f"kid.subset_size is {self.kid.subset_size}, but only {smallest} images are there to draw from (the "
                f"smaller of num_samples and precision_recall_references); make it smaller"
            )
        if self.density_coverage is not None and self.density_coverage.neighbours >= smallest:
            raise ValueError(
                f"density_coverage.neighbours is {self.density_coverage.neighbours}, but only {smallest} images are "
                f"there (the smaller of num_samples and precision_recall_references); allowed: 1 to {smallest - 1}"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_protocol(cls, given: Any) -> Any:
        known = isinstance(given, dict) and given.get("protocol") in PROTOCOLS
        return fill(given["protocol"], given) if known else given


def _defaults(*names: str) -> dict[str, Any]:
    return {name: Evaluation.model_fields[name].default for name in names}
