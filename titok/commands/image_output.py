"""Where the pictures of a verb go, settled before any model is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from titok.commands.image_files import ImageFileError
from titok.runtime.files import atomic_path, save_npz
from titok.runtime.outputs import require_folder, require_places


class ImageOutput:
    """PNG files in a folder, each as soon as it is there, one picture as one ``.png``, or all in one ``.npz``."""

    def __init__(
        self, output: Path, names: Sequence[str], *, inputs: Iterable[Path] = (), overwrite: bool = False
    ) -> None:
        """Looks at every file that will be written.

        Raises:
            ImageFileError: several pictures would have one name.
            OutputError: a picture would overwrite one of ``inputs`` or, without ``overwrite``, any other file, or
                cannot be written.
        """
        self._output = output
        self._names = names
        self._is_archive = output.suffix == ".npz"
        self._kept: list[np.ndarray] = []
        self._done = 0
        self._paths = [] if self._is_archive else self._png_files()
        if not self._is_archive and self._paths != [output]:
            require_folder(output)
        require_places([output] if self._is_archive else self._paths, inputs, overwrite=overwrite)

    def _png_files(self) -> list[Path]:
        if self._output.suffix == ".png" and not os.path.isdir(self._output):
            if len(self._names) != 1:
                raise ImageFileError(
                    f"{self._output} is one picture, but {len(self._names)} will be made; name a folder or an .npz"
                )
            return [self._output]
        repeated = sorted({name for name in self._names if self._names.count(name) > 1}) if self._are_repeated() else []
        if repeated:
            raise ImageFileError(
                f"{len(repeated)} names stand for several images ({', '.join(repeated[:4])}) and would overwrite each "
                f"other in {self._output}; rename the files or write an .npz"
            )
        nameless = [name for name in self._names if not name.strip(".") or "\0" in name]
        if nameless:
            raise ImageFileError(
                f"no file can be called after an image named {nameless[0]!r}; correct it, or write an .npz"
            )
        return [self._output / f"{name}.png" for name in self._names]

    def _are_repeated(self) -> bool:
        return len(set(self._names)) < len(self._names)

    def write(self, pixels: np.ndarray) -> None:
        """Takes the next images (B, H, W, 3) uint8."""
        paths = self._paths[self._done : self._done + len(pixels)]
        self._done += len(pixels)
        if self._is_archive:
            self._kept.append(pixels)
            return
        for path, image in zip(paths, pixels, strict=True):
            with atomic_path(path) as temporary:
                Image.fromarray(image).save(temporary)

    def close(self, **arrays: np.ndarray) -> None:
        """Writes the archive, if it is one, with ``arrays`` beside the images."""
        if self._is_archive:
            save_npz(self._output, arr_0=np.concatenate(self._kept), names=np.array(list(self._names)), **arrays)
