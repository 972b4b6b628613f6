"""YAML file -> validated :class:`Study`; every mistake is told by key, value, what is allowed and what to do.

A study's named things are short overrides of one base: ``defaults.tokenizer`` is merged under every entry of
``tokenizers`` of TiTok's family (nested sections merge key by key; lists and plain values replace).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from titok.config.check import check_study
from titok.config.families import sorted_by_family
from titok.config.named_encoders import ENCODERS_FILE, named_encoders, with_records
from titok.config.numbers import PLAIN
from titok.config.section import Section
from titok.config.shipped import shipped
from titok.config.study import Study
from titok.errors import TitokError

BASES = {"classifier": "classifiers", "tokenizer": "tokenizers", "generator": "generators", "sampler": "samplers"}
"""`defaults.<key>` is the base of every entry of the section it maps to."""

AnySection = TypeVar("AnySection", bound=Section)


class ConfigError(TitokError):
    """A study or job file that cannot be used; the message lists every problem found."""


_READ_OTHERWISE = "int", "float", "timestamp"


class _StrictLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; here they are an error.

    And numbers are decimal: what YAML 1.1 reads to base 60, 8, 16 or 2, with underscores, or as a date, stays text,
    which fields for text take as it is and fields for numbers refuse.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _READ_OTHERWISE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), [*"-+0123456789"])
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"(?:(?=[^eE]*\.){PLAIN.pattern}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    [*"-+.0123456789"],
)


def _mapping_without_duplicates(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a plain name", key_node.start_mark)
        key = key_node.value
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice in one section; keep one of them", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, repeats a key, or holds something else than a mapping.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; check the path (studies live in config/)") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a YAML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds {type(document).__name__}, expected a mapping of sections")
    return document


def load_study(path: str | Path) -> Study:
    """Reads and checks a whole study.

    Raises:
        ConfigError: with every problem of the file.
    """
    path = Path(path)
    try:
        found = sorted_by_family(read_yaml(path))
    except ValueError as error:
        raise ConfigError(f"{path}: 1 problem(s) found:\n  - the study: {error}") from None
    try:
        study = _validate(Study, _with_encoders(apply_defaults(found.document, path)), path)
        check_study(study)
    except ConfigError as error:
        raise ConfigError(found.as_written(str(error))) from None
    except ValueError as error:
        raise ConfigError(f"{path}: 1 problem(s) found:\n  - the study: {found.as_written(str(error))}") from None
    return study


def _with_encoders(document: dict[str, Any]) -> dict[str, Any]:
    """With the records of encoders that are called by their names; the list of them is read where one is."""
    if not any(named_encoders(document)):
        return document
    return with_records(document, read_yaml(shipped(ENCODERS_FILE)).get("encoders") or {})


def load_job(path: str | Path, section: type[AnySection], execution: Mapping[str, Any] | None = None) -> AnySection:
    """Reads the resolved settings of one job; ``execution`` says anew what decides no result (`Section.execution`).

    Raises:
        ConfigError: with every problem of the file, or ``execution`` names what a result depends on.
    """
    path = Path(path)
    job = _validate(section, merge(read_yaml(path), execution or {}), path)
    free = _leaves(job.execution())
    if deciding := sorted(_leaves(execution or {}) - free):
        raise ConfigError(
            f"{path}: --execution names {', '.join(deciding)}, which results depend on; allowed here: "
            f"{', '.join(sorted(free)) or 'nothing'}; change the study, or these settings, instead"
        )
    return job


def _leaves(settings: Mapping[str, Any], before: str = "") -> set[str]:
    """Dotted keys of all values that are no sections."""
    found: set[str] = set()
    for key, value in settings.items():
        found |= _leaves(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}"}
    return found


def apply_defaults(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Merges each base of ``defaults`` under the entries of its section.

    Raises:
        ConfigError: `defaults` names a base that does not exist.
    """
    document = dict(document)
    bases = document.pop("defaults", None) or {}
    if not isinstance(bases, dict):
        raise ConfigError(f"{path}: defaults holds {type(bases).__name__}, expected a mapping of {', '.join(BASES)}")
    for key, base in bases.items():
        if key not in BASES:
            close = get_close_matches(str(key), BASES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"{path}: defaults.{key} is no base; allowed: {', '.join(BASES)}{hint}")
        entries = document.get(BASES[key]) or {}
        if not isinstance(entries, dict):
            continue  # no mapping of names: told with everything else that is wrong
        document[BASES[key]] = {name: merge(base, override or {}) for name, override in entries.items()}
    return document


def merge(base: Any, override: Any) -> Any:
    """`override` on top of `base`: mappings merge key by key, anything else replaces."""
    if not (isinstance(base, dict) and isinstance(override, dict)):
        return override
    return {**base, **{key: merge(base[key], value) if key in base else value for key, value in override.items()}}


def dump_yaml(section: Section) -> str:
    """A section as YAML with every value, in the order of its fields."""
    return yaml.safe_dump(section.resolved(), sort_keys=False, default_flow_style=None, width=110)


def _validate(section: type[AnySection], document: dict[str, Any], path: Path) -> AnySection:
    try:
        return section.model_validate(document)
    except ValidationError as error:
        problems = "\n".join(f"  - {_describe(section, dict(problem))}" for problem in error.errors())
        raise ConfigError(f"{path}: {error.error_count()} problem(s) found:\n{problems}") from None


def _describe(section: type[BaseModel], problem: dict[str, Any]) -> str:
    """One pydantic error as: key, value found, what is allowed, what to do."""
    key = ".".join(str(part) for part in problem["loc"]) or "the study"
    if problem["type"] == "extra_forbidden":
        allowed = _fields_at(section, problem["loc"][:-1])
        if allowed == sorted(Study.model_fields):
            allowed = sorted((*allowed, "defaults"))
        close = get_close_matches(str(problem["loc"][-1]), allowed, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it"
        return f"{key}: unknown key (value {problem['input']!r}); allowed here: {', '.join(allowed)}; {hint}"
    if problem["type"] == "missing":
        return f"{key}: missing; add it"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}"
    return f"{key}: found {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _fields_at(section: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the section that a location of an error lies in."""
    current: Any = section
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[str(part)].annotation if part in current.model_fields else None
        else:  # an entry of a mapping or sequence
            current = get_args(current)[-1] if get_args(current) else None
        current = _without_none(current)
    return sorted(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _without_none(annotation: Any) -> Any:
    """`X | None` -> X, `Annotated[X, ...]` -> X, `tuple[X, ...]` stays."""
    if hasattr(annotation, "__metadata__"):
        return _without_none(annotation.__origin__)
    options = [option for option in get_args(annotation) if option is not type(None)]
    is_union = type(None) in get_args(annotation)
    return options[0] if is_union and len(options) == 1 else annotation
