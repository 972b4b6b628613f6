"""Files that are either whole or absent: atomic writes, JSON, npz archives, checksums.

A result is written to a temporary file beside its final name, flushed to the disk and renamed into place, so that a
crash, a full disk or Ctrl-C never leaves half a file under a name that a later step would trust.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from titok.errors import TitokError
from titok.runtime.outputs import temporary_beside

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file is larger than the system allows (see `ulimit -f`)",
}


_ZIP = b"PK"
_POINTER, _POINTER_BYTES = b"version https://git-lfs.github.com/spec/", 1024
"""How pointers of Git LFS begin, and what they are smaller than."""
_NPY = b"\x93NUMPY"
"""How files of single arrays begin."""


class FileError(TitokError):
    """A file is missing, damaged or cannot be written; the message names it and says what to do."""


@contextlib.contextmanager
def atomic_path(path: str | Path, expected_bytes: int | None = None) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; when the block ends well, the file takes the name ``path``.

    On any error, ``KeyboardInterrupt`` included, the temporary file is removed and an old ``path`` stays as it was.
    The temporary name keeps the suffix, for writers that look at it. Parent folders are made. The file gets
    the permissions of any new file (the umask's), whatever its writer gave it (safetensors: none for others).

    ``expected_bytes`` is the size about to be written, if known: only the message about a full disk uses it.
    Raises ``FileError`` when there is no room left or the place cannot be written; other errors pass through unchanged.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        mode = _usual_mode(temporary)
        yield temporary
        _make_readable(temporary, mode)
        _flush(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        written = _size_of_removed(temporary)
        reason = _no_room(error)
        if reason is None and _is_about(error, temporary):
            raise _unwritable(path, error) from error
        if reason is None:
            raise
        raise FileError(_no_room_message(path, reason, written, expected_bytes)) from error
    with contextlib.suppress(OSError):  # Some network file systems cannot flush a folder; the file itself is safe.
        _flush(path.parent)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    data = text.encode()
    with atomic_path(path, expected_bytes=len(data)) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, obj: Any) -> None:
    """Writes indented JSON atomically; NaN and infinities are refused because JSON has no such numbers.

    Names of files that are no UTF-8 are written in escapes and come back as they were.
    """
    try:
        text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False)
        if not _is_utf8(text):
            text = json.dumps(obj, indent=2, allow_nan=False)
    except ValueError as error:
        raise FileError(f"{path}: {error}; JSON holds finite numbers only, store null for a missing one") from error
    write_text(path, text + "\n")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_json(path: str | Path) -> Any:
    """Reads a JSON file; raises ``FileError`` when it is missing or not JSON."""
    path = existing_file(path)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise FileError(
            f"{path} is not valid JSON ({error}); delete it and run the step that writes it again"
        ) from error


def save_npz(path: str | Path, /, **arrays: np.ndarray) -> None:
    """Writes named arrays as an uncompressed ``.npz``, atomically; equal arrays give equal bytes."""
    if Path(path).suffix != ".npz":
        raise FileError(f"{path}: an array archive must be called <name>.npz")
    with (
        atomic_path(path, expected_bytes=sum(np.asarray(array).nbytes for array in arrays.values())) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def load_npz(path: str | Path, skip: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Reads the arrays of an ``.npz``, all but those of ``skip``.

    Raises ``FileError`` when it is missing, truncated or altered.
    """
    path = existing_archive(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name not in skip}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, AttributeError) as error:
        raise FileError(
            f"{path} is no readable array archive ({error}); it was cut short or altered: "
            f"delete it and run the step that writes it again"
        ) from error


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal."""
    with existing_file(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def existing_file(path: str | Path) -> Path:
    """``path`` as a Path; raises ``FileError`` when no file of that name exists, or a mere pointer to one."""
    path = Path(path)
    if path.is_file():
        require_content(path)
        return path
    if path.exists():
        raise FileError(f"{path} is a {'folder' if path.is_dir() else 'pipe or a device'}, a file is needed")
    where = (
        "its folder is there but empty of it" if path.parent.is_dir() else f"its folder {path.parent} is missing too"
    )
    raise FileError(f"{path} does not exist ({where}); run the step that writes it, or correct the path")


def require_content(path: Path) -> None:
    """Raises ``FileError`` for what Git leaves in the place of a large file where Git LFS is missing."""
    size = path.stat().st_size
    if size > _POINTER_BYTES:
        return
    with path.open("rb") as stream:
        is_pointer = stream.read(len(_POINTER)) == _POINTER
    if is_pointer:
        raise FileError(
            f"{path} is a pointer of Git LFS ({size} bytes), not the file itself; run `git lfs pull` where it was "
            f"cloned, or download the file"
        )


def _usual_mode(path: Path) -> int:
    """The permissions of a file that is simply opened at ``path``: those of the umask, or of the folder's ACL."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        path.unlink()


def _make_readable(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) != mode:
        with contextlib.suppress(PermissionError):  # On file systems without permissions; the file itself is whole.
            path.chmod(mode)


def existing_archive(path: str | Path) -> Path:
    """``path`` as a Path; raises ``FileError`` when there is no such file, or one that is plainly no ``.npz``."""
    path = existing_file(path)
    with path.open("rb") as stream:
        start = stream.read(len(_NPY))
    if not start:
        raise FileError(
            f"{path} is no readable array archive: it is empty (0 bytes), as an interrupted download leaves it; "
            f"fetch or write it again"
        )
    if start == _NPY:
        raise FileError(
            f"{path} is a single .npy array, an .npz with named arrays is needed; save it with "
            f"numpy.savez(path, arr_0=array) (arr_0 is the name of images)"
        )
    if not start.startswith(_ZIP):
        raise FileError(
            f"{path} is no readable array archive: it begins with {start!r}, as no .npz does; fetch or write it again"
        )
    return path


def _flush(path: Path) -> None:
    """Waits until a file's bytes (or a folder's names) are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size_of_removed(temporary: Path) -> int:
    """Bytes of a half-written file, which is there no longer; its folder may not even allow to look."""
    try:
        size = temporary.stat().st_size
        temporary.unlink()
    except OSError:
        return 0
    return size


def _is_about(error: BaseException, temporary: Path) -> bool:
    """Whether the system refused the temporary file itself; a missing one was never made."""
    names = (getattr(error, "filename", None), getattr(error, "filename2", None))
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError) and str(temporary) in map(str, names)


def _unwritable(path: Path, error: BaseException) -> FileError:
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(f"cannot write {path}: {reason}; the old file, if there was one, is untouched: name another place")


def _no_room(error: BaseException) -> str | None:
    """Why there was no room, if that is what ``error`` or one of its causes says; else None.

    Writers in other languages (safetensors) report the number in their text instead of raising ``OSError``.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        for number, reason in _NO_ROOM.items():
            if getattr(current, "errno", None) == number or f"os error {number})" in str(current):
                return reason
        current = current.__cause__ or current.__context__
    return None


def _no_room_message(path: Path, reason: str, written: int, expected_bytes: int | None) -> str:
    wanted = f"{expected_bytes:,} bytes were wanted, " if expected_bytes is not None else ""
    free = shutil.disk_usage(path.parent).free
    old = f"the old {path.name} is untouched" if path.exists() else "no partial file was left behind"
    return (
        f"cannot write {path}: {reason} ({wanted}{written:,} were written, {free:,} are free now); {old}. "
        f"Make room and run the step again"
    )
