"""Every verb with its options and examples as Markdown: docs/commands.md, made from the parsers themselves."""

from __future__ import annotations

import argparse
import re
from textwrap import dedent

from titok.commands.examples import verbs_of


def commands_markdown(parser: argparse.ArgumentParser) -> str:
    """A section for each verb, in the order of `titok --help`."""
    summaries = dict(_summaries(parser))
    return "\n\n".join(_section(path, verb, summaries[path]) for path, verb in verbs_of(parser)) + "\n"


def _summaries(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """What the list of verbs says of each."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [((*path, str(choice.dest)), str(choice.help)) for choice in action._choices_actions]
            for name, verb in action.choices.items():
                found += _summaries(verb, (*path, name))
    return found


def _section(path: tuple[str, ...], verb: argparse.ArgumentParser, summary: str) -> str:
    sentence = _escaped(summary[0].upper() + summary[1:].rstrip("."))
    parts = [f"{'#' * (len(path) + 1)} titok {' '.join(path)}", f"{sentence}."]
    if verb.description:
        parts.append(_escaped(" ".join(verb.description.split())))
    rows = [_row(verb, action) for action in verb._actions if _is_shown(action)]
    if rows:
        parts.append("\n".join(["| option | what |", "| --- | --- |", *rows]))
    if verb.epilog:
        head, _, lines = verb.epilog.partition("\n")
        parts.append(f"```text\n{dedent(lines).strip() if lines else head.removeprefix('example: ')}\n```")
    return "\n\n".join(parts)


def _is_shown(action: argparse.Action) -> bool:
    return not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)


def _row(verb: argparse.ArgumentParser, action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {verb._get_formatter()._format_args(action, action.dest.upper())}"
    name = f"`{', '.join(action.option_strings)}{value}`" if action.option_strings else f"`{value.strip()}`"
    what = verb._get_formatter()._expand_help(action) if action.help else ""
    needed = " (required)" if action.required and action.option_strings else ""
    return f"| {name.replace('|', chr(92) + '|')}{needed} | {_escaped(what)} |"


def _escaped(text: str) -> str:
    """Plain text for Markdown: what it would read otherwise is escaped, options become code; code stays as it is."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", re.sub(r"([|<*\[])", r"\\\1", parts[index]))
    return "`".join(parts)
