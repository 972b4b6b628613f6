"""What is wrong with a set of images, and whether the study lets it pass by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from titok.config.evaluation import Allowance
from titok.errors import ScoreError


@dataclass(frozen=True)
class Finding:
    """One thing that makes a score mean less than it seems to."""

    name: Allowance
    found: str
    """What was found, what is allowed, what to do."""


def refuse(findings: Sequence[Finding], allow: Sequence[Allowance], outcome: str = "not scored") -> None:
    """Stops the scoring unless every finding is allowed by name.

    Args:
        outcome: what comes of it, the first words of the message.

    Raises:
        ScoreError: lists all findings that are not, and the names that would let them pass.
    """
    refused = [finding for finding in findings if finding.name not in allow]
    if refused:
        reasons = "; ".join(finding.found for finding in refused)
        names = ", ".join(sorted({finding.name for finding in refused}))
        raise ScoreError(f"{outcome}: {reasons}. To score all the same, add to evaluation.checks.allow: {names}")


def rank_findings(num_images: int, feature_dim: int, what: str) -> list[Finding]:
    """A covariance of N images has rank N - 1 at most; below full rank a Frechet distance is biased beyond use."""
    if num_images > feature_dim:
        return []
    text = (
        f"{num_images} {what} cannot fill a covariance of {feature_dim} features; "
        f"a Frechet distance needs more than {feature_dim} images, use more of them"
    )
    return [Finding("too_few_for_features", text)]
