"""One cluster for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slurm.cluster import Cluster, missing, running_cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
