"""Wall time on a cluster: the jobs in their order, as many at a time as there are GPUs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from titok.planning.graph import Graph


def wall_seconds(graph: Graph, seconds: Sequence[float], gpus: Sequence[int], num_gpus: int) -> float:
    """From the first job to the last: whoever is ready starts, those with the longest way still ahead first.

    Args:
        seconds: of every job on its GPUs; jobs of 0 seconds take no GPU.
        gpus: how many each job takes, at most ``num_gpus``.
    """
    ahead = longest_ahead(graph, seconds)
    missing = [len(before) for before in graph.before]
    after = followers(graph)
    ready = [(-ahead[number], number) for number, count in enumerate(missing) if count == 0]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    now, free = 0.0, num_gpus
    while ready or running:
        waiting = []
        while ready:
            _, number = heapq.heappop(ready)
            needed = gpus[number] if seconds[number] else 0
            if needed > free:
                waiting.append((-ahead[number], number))
                continue
            free -= needed
            heapq.heappush(running, (now + seconds[number], number))
        for entry in waiting:
            heapq.heappush(ready, entry)
        now, done = heapq.heappop(running)
        free += gpus[done] if seconds[done] else 0
        for number in after[done]:
            missing[number] -= 1
            if missing[number] == 0:
                heapq.heappush(ready, (-ahead[number], number))
    return now


def followers(graph: Graph) -> list[list[int]]:
    """For every job, the jobs that read its files."""
    found: list[list[int]] = [[] for _ in graph.jobs]
    for number, before in enumerate(graph.before):
        for earlier in before:
            found[earlier].append(number)
    return found


def longest_ahead(graph: Graph, seconds: Sequence[float]) -> list[float]:
    """For every job, the time of the longest chain of jobs that starts with it."""
    after = followers(graph)
    missing = [len(each) for each in after]
    ahead = list(seconds)
    waiting = [number for number, count in enumerate(missing) if count == 0]
    while waiting:
        number = waiting.pop()
        for earlier in graph.before[number]:
            ahead[earlier] = max(ahead[earlier], seconds[earlier] + ahead[number])
            missing[earlier] -= 1
            if missing[earlier] == 0:
                waiting.append(earlier)
    return ahead
