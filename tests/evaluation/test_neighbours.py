"""Clouds are compared by the metrics and the arithmetic that the settings name, and the protocol says which.

Run: pytest tests/evaluation/test_neighbours.py
"""

from __future__ import annotations

import pytest
import torch

from titok.config.evaluation import DensityCoverage, Evaluation, Extractor, KernelDistance, MongeDistance
from titok.evaluation.neighbours import compare_clouds, neighbour_protocol
from titok.metrics.adm_distances import Float16Blocks
from titok.metrics.density_coverage import density_coverage
from titok.metrics.mind import monge_inception_distance
from titok.metrics.precision_recall import precision_recall
from titok.records.metric import METRICS
from titok.reporting.cells import heading

DRAWS = torch.Generator().manual_seed(0)
REAL = torch.rand(300, 64, generator=DRAWS) * 4
FAKE = torch.rand(200, 64, generator=DRAWS) * 3.6 + 0.3


def settings(**values) -> Evaluation:
    return Evaluation(extractor=Extractor(weights="inception.pth"), num_samples=200, **values)


def test_precision_and_recall_always() -> None:
    expected = precision_recall(REAL, FAKE)
    assert compare_clouds(FAKE, REAL, settings()) == {"precision": expected.precision, "recall": expected.recall}
    assert neighbour_protocol(settings(), 300) == {"precision_recall": {"neighbours": 3, "references": 300}}


def test_adms_arithmetic_where_it_is_named() -> None:
    asked = settings(precision_recall_arithmetic="float16-blocks", precision_recall_neighbours=1)
    expected = precision_recall(REAL, FAKE, 1, Float16Blocks())
    assert expected != precision_recall(REAL, FAKE, 1), "else this test could not tell the two apart"
    assert compare_clouds(FAKE, REAL, asked) == {"precision": expected.precision, "recall": expected.recall}
    assert neighbour_protocol(asked, 300)["precision_recall"] == {
        "neighbours": 1,
        "references": 300,
        "arithmetic": "float16-blocks",
        "block": 10_000,
    }


def test_density_coverage_and_mind_where_they_are_asked_for() -> None:
    asked = settings(
        density_coverage=DensityCoverage(neighbours=7),
        mind=MongeDistance(directions=9, seed=4),
        kid=KernelDistance(subsets=2, subset_size=50),
    )
    found = compare_clouds(FAKE, REAL, asked)
    held = density_coverage(REAL, FAKE, 7)
    assert (found["density"], found["coverage"]) == (held.density, held.coverage)
    assert found["mind"] == monge_inception_distance(FAKE, REAL, 9, 4)
    protocol = neighbour_protocol(asked, 300)
    assert protocol["density_coverage"] == {"neighbours": 7, "references": 300}
    assert protocol["mind"] == {"directions": 9, "seed": 4, "references": 300}
    assert set(neighbour_protocol(asked, None)) == {"precision_recall"}


@pytest.mark.parametrize(
    ("name", "label", "better", "unit"),
    [
        ("density", "density", "higher", ""),
        ("coverage", "coverage", "higher", "fraction"),
        ("mind", "MIND", "lower", ""),
    ],
)
def test_records_and_tables_know_them(name: str, label: str, better: str, unit: str) -> None:
    metric = METRICS[name]
    assert (metric.label, metric.better, metric.unit, metric.of_features) == (label, better, unit, True)
    assert heading(name) == f"{label} {'↑' if better == 'higher' else '↓'}"
