"""SHA-256 of plain data. Loads nothing but the standard library, for settings are known by it, too."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def sha256_json(obj: Any) -> str:
    """SHA-256 of plain data in canonical JSON: equal data have equal sums whatever the order of their keys."""
    return hashlib.sha256(json.dumps(obj, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()
