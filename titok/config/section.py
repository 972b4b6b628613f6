"""What every section of a study has in common: frozen, typed, and deaf to keys it does not know."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""Names become folder names and Snakemake wildcards: lower-case letters, digits, ``-`` and ``_``."""

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A section of a study: immutable, unknown keys are errors, every field is documented where it stands."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=False,
        use_attribute_docstrings=True,
        # A field called `model_config`-like or `model_...` is a pydantic name; none of ours is.
        protected_namespaces=(),
    )

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included, as plain data (what a resolved ``config.yaml`` holds)."""
        return self.model_dump(mode="json")


def fingerprint(resolved: Any) -> str:
    """SHA-256 of plain data in canonical JSON: equal settings have equal fingerprints, whatever their order."""
    canonical = json.dumps(resolved, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
