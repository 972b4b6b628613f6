"""One job at a time beside the training, and copies of what it works on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch


class Background:
    """Does one job after the other in a thread that nobody has to wait for when the process leaves in a hurry."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Starts ``job`` when the one before is done; raises what that one raised."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(job,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Returns when nothing is being done; raises what the last job raised, once."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            self._error = error


def copied_to_host(tree: Any) -> Any:
    """The same nested dicts, lists and tuples with copies of all tensors in the host's memory, complete on return.

    From a GPU into pinned pages, at the speed of the bus and all at once: the whole job waits meanwhile. torch keeps
    the pages for the next copy, in blocks rounded up to powers of two.
    """
    copies = _copied(tree)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return copies


def _copied(tree: Any) -> Any:
    if isinstance(tree, torch.Tensor):
        tensor = tree.detach()
        if tensor.device.type != "cuda":
            return tensor.to("cpu", copy=True)
        return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_copied(value) for value in tree)
    return tree
