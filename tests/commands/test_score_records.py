"""What a record says of its images.

Run: pytest tests/commands/test_score_records.py
"""

from __future__ import annotations

import pytest

from titok.commands.score_records import image_source
from titok.config.data import Dataset


@pytest.mark.parametrize(("rule", "name"), [("official", "bicubic"), ("adm", "bicubic"), ("bilinear", "bilinear")])
def test_the_filter_is_that_of_the_resize_rule(rule: str, name: str) -> None:
    """It used to be called bicubic whatever it was."""

    class Five(list[int]):
        split, fingerprint = "test", "ab"

    source = image_source(Five(range(5)), Dataset(resize_rule=rule))  # type: ignore[arg-type]
    assert (source["resize_rule"], source["filter"], source["images"]) == (rule, name, 5)
