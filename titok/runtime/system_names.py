"""Files that operating systems and programs leave beside everybody's data: never part of it."""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle", "$recycle.bin", "__macosx"}


def is_hidden(name: str | PurePath) -> bool:
    """Whether a file, or a folder on the way to it, belongs to a system or a program; ``name`` is a relative path.

    ``.DS_Store``, ``._copy.jpg``, ``.ipynb_checkpoints``, ``Thumbs.db``, ``@eaDir/a.jpg``.
    """
    parts = PurePosixPath(name).parts
    return any(is_system_name(part) or (part.startswith(".") and part.strip(".") != "") for part in parts)


def is_system_name(name: str) -> bool:
    """Whether systems make files and folders of this very name: hidden ones that a user made are not meant."""
    return name.lower() in _SYSTEM or name.startswith("._")
