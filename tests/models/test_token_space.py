"""The id space: every id has exactly one meaning."""

from __future__ import annotations

import torch

from titok.models.token_space import TokenSpace


def test_ids_fill_the_table_without_overlap() -> None:
    space = TokenSpace(codebook_size=5, num_classes=3)
    ids = [*range(5), space.mask_id, *space.class_id(torch.arange(3)).tolist(), space.null_class_id]
    assert ids == list(range(space.size))


def test_published_size() -> None:
    # Specification 4.1 at the official sizes.
    space = TokenSpace(codebook_size=4096, num_classes=1000)
    assert (space.mask_id, space.null_class_id, space.size) == (4096, 5097, 5098)


def test_dropped_labels_become_no_class() -> None:
    space = TokenSpace(codebook_size=5, num_classes=3)
    labels = torch.tensor([0, 1, 2])
    assert space.condition_ids(labels).tolist() == [6, 7, 8]
    assert space.condition_ids(labels, torch.tensor([True, False, True])).tolist() == [9, 7, 9]
