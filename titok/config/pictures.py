"""Whether figures of images ask for images that there will be, told before anything is trained."""

from __future__ import annotations

from titok.config.image_counts import NUM_EXAMPLES, stated_images
from titok.config.study import Study


def check_pictures(study: Study) -> None:
    """Refuses classes that nobody has, and more samples or reconstructions than are drawn or kept.

    Raises:
        ValueError: names the key, its value and what is allowed.
    """
    _check_samples(study)
    _check_reconstructions(study)


def _check_samples(study: Study) -> None:
    if not study.generators:
        return
    drawn, classes = study.evaluation.num_samples, study.dataset.num_classes
    if drawn % classes:
        raise ValueError(
            f"evaluation.num_samples is {drawn}, which {classes} classes do not divide evenly; take a multiple of "
            f"{classes}"
        )
    wanted = study.reporting.figures.samples
    if wanted is None:
        return
    if unknown := [label for label in wanted.classes if label >= classes]:
        raise ValueError(
            f"reporting.figures.samples.classes names {unknown[0]}; allowed: 0 to {classes - 1} "
            f"(dataset.num_classes is {classes})"
        )
    if wanted.per_class > drawn // classes:
        raise ValueError(
            f"reporting.figures.samples.per_class is {wanted.per_class}, but {drawn} samples (evaluation.num_samples) "
            f"of {classes} classes are {drawn // classes} each; ask for at most so many"
        )


def _check_reconstructions(study: Study) -> None:
    wanted, images = study.reporting.figures.reconstructions, stated_images(study.dataset, "test")
    kept = NUM_EXAMPLES if images is None else min(NUM_EXAMPLES, images)
    if wanted is not None and wanted.num_images > kept:
        raise ValueError(
            f"reporting.figures.reconstructions.num_images is {wanted.num_images}, but {kept} test images are kept "
            f"with their reconstructions; ask for at most {kept}"
        )
