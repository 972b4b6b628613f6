"""Features on the disk come back as they went in, in parts and by place, and leave no file behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from titok.metrics import feature_store
from titok.metrics.feature_store import FeatureStore


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_rows_come_back(tmp_path: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "CHUNK", 10)
    rows = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    store = FeatureStore(tmp_path / "scratch")
    for batch in rows.double().split(batch_size):
        store.append(batch)
    assert len(store) == 64
    assert [len(chunk) for chunk in store.chunks()] == [10] * 6 + [4]
    torch.testing.assert_close(store.rows(), rows, rtol=0, atol=0)
    places = np.array([0, 3, 40, 63])
    torch.testing.assert_close(store.rows(places), rows[places], rtol=0, atol=0)
    store.append(rows[:1])
    assert len(store.rows()) == 65
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_empty_store_has_no_chunks() -> None:
    assert list(FeatureStore().chunks()) == []
