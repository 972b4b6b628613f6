"""What every section of a study has in common: frozen, typed, deaf to keys it does not know, and clear about which of
its settings decide a result and which only how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from titok.config.numbers import may_be, odd_number, true_number, wants_number

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
"""Names become folder names and Snakemake wildcards: lower-case letters, digits, ``-`` and ``_``."""

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Operational:
    """Marks a field that says how a job runs, not what it finds; changing it makes nothing again."""


@dataclass(frozen=True)
class KnownBy(Operational):
    """Marks the path of a file: where it lies decides nothing, what is in it does."""

    sum_field: str
    """The field beside it that holds the file's SHA-256."""


@dataclass(frozen=True)
class Neutral:
    """Marks a setting that came later than results: with this value, its default, everything is as it was before.

    Documents and identities leave it out where it has this value, so that a new setting moves no fingerprint, makes
    nothing again, and earlier resolved settings and model folders stay what they are.
    """

    value: Any


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

    first_in_documents: ClassVar[tuple[str, ...]] = ()
    """What documents begin with, for sections whose fields have moved into a base: documents stay as they were."""

    @model_validator(mode="before")
    @classmethod
    def _numbers_look_as_they_count(cls, given: Any) -> Any:
        for name, value in given.items() if isinstance(given, dict) else ():
            field = cls.model_fields.get(name)
            if field is None:
                continue
            if wants_number(field.annotation):
                reason = odd_number(value)
            else:  # words may do, too, but yes is none of them
                is_number = may_be(field.annotation, (int, float)) and not may_be(field.annotation, (bool,))
                reason = true_number(value) if is_number else None
            if reason:
                raise ValueError(f"{name} is {reason}")
        return given

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for name, field in cls.model_fields.items():
            for mark in field.metadata:
                if isinstance(mark, Neutral) and field.default != mark.value:
                    raise TypeError(
                        f"{cls.__name__}.{name} has the neutral value {mark.value!r} and the default "
                        f"{field.default!r}; documents leave out the one and are read with the other: make them equal"
                    )

    @model_serializer(mode="wrap")
    def _without_neutral_values(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        said: dict[str, Any] = serialized(self)
        found = {name: said[name] for name in dict.fromkeys((*self.first_in_documents, *said)) if name in said}
        for name, field in type(self).model_fields.items():
            if any(isinstance(mark, Neutral) and getattr(self, name) == mark.value for mark in field.metadata):
                found.pop(name, None)
        return found

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included but neutral ones, as plain data (what a resolved ``config.yaml`` holds)."""
        return self.model_dump(mode="json")

    def identity(self) -> dict[str, Any]:
        """The values that decide a result: all but the operational ones (of sections within sections, too)."""
        found = self.resolved()
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if any(isinstance(mark, Operational) for mark in field.metadata):
                found.pop(name, None)
            elif name in found and isinstance(value, Section):
                found[name] = value.identity()
            elif name in found and (inside := _sections(value)):
                found[name] |= {key: section.identity() for key, section in inside.items()}
        return found

    def execution(self) -> dict[str, Any]:
        """The operational values alone, nested as they are in the section."""
        found: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if any(isinstance(mark, Operational) for mark in field.metadata):
                found[name] = value
                continue
            inside = value.execution() if isinstance(value, Section) else {}
            inside |= {key: free for key, one in _sections(value).items() if (free := one.execution())}
            if inside:
                found[name] = inside
        return found


def _sections(value: Any) -> dict[str, Section]:
    """The sections of a mapping by name; none of anything else."""
    return {key: one for key, one in value.items() if isinstance(one, Section)} if isinstance(value, dict) else {}
