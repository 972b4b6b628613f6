"""Healthy bands: what is known about the start and the end of runs, and what is said when a run leaves them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.training.bands import S128_END, Band, HealthCheck, UnhealthyWarning, healthy_bands


def stage1(width: int = 512, num_latent_tokens: int = 128) -> dict[str, Any]:
    size = TransformerSize(width=width, depth=8, num_heads=8)
    return TokenizerModel(
        image_size=256,
        patch_size=16,
        encoder=size,
        decoder=size,
        num_latent_tokens=num_latent_tokens,
        codebook_size=4096,
        code_dim=12,
        vqgan=VQGANModel(),
        pixel_lookup="argmax",
    ).resolved()


def test_stage_1_starts_at_the_loss_of_guessing_a_proxy_code() -> None:
    start, end = healthy_bands("stage1", stage1(), 1_000_000)
    assert (start.metric, start.moment) == ("proxy_code_loss", "start")
    assert start.low <= math.log(1024) <= start.high < 1.1 * math.log(1024)
    assert end is S128_END


@pytest.mark.parametrize(("other", "steps"), [({}, 1000), ({"width": 768}, 10**6), ({"num_latent_tokens": 64}, 10**6)])
def test_the_published_end_is_for_the_published_run_alone(other: dict[str, int], steps: int) -> None:
    *_, end = healthy_bands("stage1", stage1(**other), steps)
    assert end.high == pytest.approx(0.95 * math.log(1024))


def test_other_tasks() -> None:
    assert healthy_bands("stage2", {}, 1000) == []
    assert healthy_bands("generator", {"codebook_size": 4096}, 99) == []
    start, _ = healthy_bands("generator", {"codebook_size": 4096}, 100)
    assert start.high == pytest.approx(1.05 * math.log(4096))


@pytest.mark.parametrize(
    ("value", "healthy"), [(2.0, True), (1.0, True), (0.9, False), (2.1, False), (math.nan, False)]
)
def test_the_last_line_is_judged(value: float, healthy: bool) -> None:
    check = HealthCheck([Band("loss", "end", 1.0, 2.0, "so it is")], total_steps=10)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check.look(5, {"loss": 99.0}, is_first=True)
        check.look(10, {"loss": value}, is_first=False)
    [finding] = check.findings
    assert (finding["step"], finding["healthy"]) == (10, healthy)
    assert [warning.category for warning in caught] == ([] if healthy else [UnhealthyWarning])
    assert healthy or "outside the healthy 1 to 2 (so it is)" in str(caught[0].message)


def test_the_first_line_is_judged_once() -> None:
    check = HealthCheck([Band("loss", "start", 0.0, 7.0, "x")], total_steps=10)
    check.look(5, {"loss": 6.9}, is_first=True)
    check.look(10, {"loss": 9.0}, is_first=False)
    assert [finding["step"] for finding in check.findings] == [5]
