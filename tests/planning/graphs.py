"""Small jobs, for tests of planning."""

from __future__ import annotations

from titok.planning.graph import Job


def job(name: str, *inputs: str, rule: str = "work", **wildcards: str) -> Job:
    """A job that writes one file, its name."""
    return Job(rule, inputs, (name,), wildcards)
