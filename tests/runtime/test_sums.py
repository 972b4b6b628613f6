"""Sums of plain data: of what it says, not of how it is written.

Run: pytest tests/runtime/test_sums.py
"""

from __future__ import annotations

import hashlib
import json

import pytest

from titok.runtime.sums import sha256_json


def test_a_sum_is_that_of_canonical_json() -> None:
    expected = hashlib.sha256(b'{"a":[1.5,null,"\\u00e4"],"b":1}').hexdigest()
    assert sha256_json({"b": 1, "a": [1.5, None, "ä"]}) == expected


def test_the_order_of_keys_does_not_count_and_that_of_lists_does() -> None:
    assert sha256_json({"a": 1, "b": [1, 2]}) == sha256_json(json.loads('{"b": [1, 2], "a": 1}'))
    assert sha256_json({"b": [1, 2]}) != sha256_json({"b": [2, 1]})
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        sha256_json(float("nan"))
