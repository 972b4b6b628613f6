"""What scoring would refuse, as far as a study's numbers and the names of its files tell: said before any work.

The rules are those of the scoring itself (``titok.evaluation.findings``); here they meet the numbers that a study
states, or that a folder's names and Parquet files' footers give within moments. What only a whole preparation can know
is left to the scoring.
"""

from __future__ import annotations

from collections.abc import Iterator

from titok.config.image_counts import stated_images
from titok.config.jobs import job, job_names
from titok.config.study import Study
from titok.config.training import ImageTraining
from titok.data.plan import SourceError
from titok.data.sources.kinds import source_of
from titok.errors import ScoreError
from titok.evaluation.findings import Finding, rank_findings, refuse

INCEPTION_FEATURES = 2048
"""F of the FID network, as ``InceptionExtractor.feature_dim``, which needs torch to be read."""


def require_enough_images(study: Study) -> None:
    """Refuses a study whose scores would be refused for want of images.

    Raises:
        ScoreError: with every such number, and what to do.
    """
    refuse(list(_findings(study)), study.evaluation.checks.allow, "its scores would be refused")
    _require_subsets(study)


def feature_dim(study: Study) -> int:
    """F, the features that the study's distances are between."""
    classifier = study.evaluation.extractor.classifier
    return INCEPTION_FEATURES if classifier is None else study.classifiers[classifier].model.feature_dim


def _findings(study: Study) -> Iterator[Finding]:
    """The findings of every score of the study, each set of images looked at once."""
    dim = feature_dim(study)
    if _reconstructs(study):
        tested = images_up_to(study, "test", dim + 1)
        if tested is not None:
            yield from rank_findings(tested, dim, "test images")
        for where, wanted in _milestones(study):
            yield from rank_findings(wanted, dim, f"images ({where}: training.milestone_images)")
    if study.generators:
        yield from rank_findings(study.evaluation.num_samples, dim, "samples (evaluation.num_samples)")
        trained = None if study.evaluation.reference else images_up_to(study, "train", dim + 1)
        if trained is not None:
            yield from rank_findings(trained, dim, "training images, the reference of samples,")


def _require_subsets(study: Study) -> None:
    """KID draws its subsets from the test images, too, where reconstructions are scored."""
    kid = study.evaluation.kid
    tested = images_up_to(study, "test", kid.subset_size) if kid and _reconstructs(study) else None
    if kid and tested is not None and tested < kid.subset_size:
        raise ScoreError(
            f"evaluation.kid.subset_size is {kid.subset_size}, but there are {tested} test images to draw from; make "
            f"it smaller, or use more of them"
        )


def _reconstructs(study: Study) -> bool:
    return bool(study.vqgan or study.baselines or study.soft_tokenizers or study.tokenizers)


def _milestones(study: Study) -> Iterator[tuple[str, int]]:
    """(`kind name`, milestone_images) of every training that scores itself on the way."""
    for kind, name in job_names(study):
        training = getattr(job(study, kind, name), "training", None)
        if isinstance(training, ImageTraining) and training.milestone_images is not None:
            yield f"{kind} {name}", training.milestone_images


def images_up_to(study: Study, split: str, enough: int) -> int | None:
    """Images of a split, or ``enough`` where there are at least as many; None if that is not known at a glance.

    Of a folder or Parquet files it is an upper bound: nothing is decoded.
    """
    dataset = study.dataset
    stated = stated_images(dataset, "test" if split == "test" else "train")
    if stated is not None:
        return min(stated, enough)
    source = source_of(dataset)
    try:
        return source.count(split, enough) if source else None
    except SourceError:
        return None  # Absent or unreadable here, which `titok check` and the preparation tell in their own words.
