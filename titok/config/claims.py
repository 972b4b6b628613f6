"""The ledger of the paper's claims: what each says, what could decide it, and who can know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from titok.config.load import ConfigError
from titok.config.section import NonNegativeFloat, PositiveInt, Section

Scope = Literal["models", "paper", "imagenet256", "imagenet512", "imagenet100", "any"]
Tier = Literal["nothing", "scoring", "training"]
_ONE_NUMBER = re.compile(r"paper\('([^']+)', '([^']+)'\)")


class Claim(Section):
    """One claim; the expressions' words are explained in `config/claims.yaml`."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    text: str
    where: str
    """Its place in the paper; `derived` if it follows from what the paper says."""
    scope: Scope
    needs: Tier
    value: str | None = None
    expected: str | None = None
    tolerance: NonNegativeFloat = 0.0
    """How far `value` may be from `expected`; where that is one number of the paper, its tolerance stands beside it in
    `config/paper.csv`, and not here."""
    holds: str | None = None
    unknown: str | None = None
    """Why public material cannot decide it."""
    refuted_by: str | None = None
    """What would show that it is wrong, where that is not simply an interval on the other side."""
    weight: PositiveInt = 1
    """Among all claims, for graders: the abstract's count more than an ablation's."""

    @property
    def expected_number(self) -> tuple[str, str] | None:
        """Row and column, where what is expected is one number of the paper."""
        found = _ONE_NUMBER.fullmatch(self.expected or "")
        return (found[1], found[2]) if found else None

    @model_validator(mode="after")
    def _can_be_decided_in_one_way(self) -> Self:
        if (self.value is None) != (self.expected is None):
            raise ValueError(f"claim {self.id!r} has only one of value and expected; give both")
        ways = [name for name in ("value", "holds", "unknown") if getattr(self, name) is not None]
        if len(ways) != 1:
            raise ValueError(
                f"claim {self.id!r} has {' and '.join(ways) or 'nothing to decide it'}; "
                f"give value and expected, or holds, or unknown"
            )
        if self.tolerance and self.expected_number:
            raise ValueError(
                f"claim {self.id!r} has tolerance {self.tolerance:g}, but expects {self.expected}, whose tolerance "
                f"stands in config/paper.csv; write it there alone"
            )
        return self


class Account(Section):
    """What went how, and what the paper's authors said: sentences for the reproducibility challenge's summary."""

    easy: tuple[str, ...] = ()
    difficult: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()


class Ledger(Section):
    """All claims, in the paper's order."""

    claims: tuple[Claim, ...]
    account: Account = Account()

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [claim.id for claim in self.claims]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"two claims are called {', '.join(repeated)}; give each an id of its own")
        return self


def load_claims(path: str | Path) -> tuple[Claim, ...]:
    """The claims of :func:`load_ledger`."""
    return load_ledger(path).claims


def load_ledger(path: str | Path) -> Ledger:
    """Reads the ledger.

    Raises:
        ConfigError: the file is missing, no YAML, or a claim is not well formed.
    """
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the paper's claims lie in config/claims.yaml") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
    try:
        return Ledger.model_validate(document)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise ConfigError(f"{path}: {lines}") from None
