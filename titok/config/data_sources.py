"""Where images may come from: a section for each kind of dataset, and what is known of it before anything is read.

How each is read: `titok.data.sources`, where every kind has a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from titok.config.section import Neutral, NonNegativeInt, PositiveInt, Section

DatasetKind = Literal["digits", "cifar10", "idx", "imagenet", "folder", "parquet"]
Archive = Literal["train", "val", "devkit"]
WordNetId = Annotated[str, StringConstraints(pattern=r"^n\d{8}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]


class Source(Section):
    """What the section of any kind has; a kind overrides what is known of it."""

    known_classes: ClassVar[int | None] = None
    """How many there are, where every dataset of the kind has the same."""
    is_small: ClassVar[bool] = False
    """Whether its images are small, square, and fit into memory."""
    known_images: ClassVar[Mapping[str, int] | None] = None
    """Split -> how many there are, where the kind is one dataset."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files, folders and patterns it names."""
        return ()

    @property
    def split_bytes(self) -> Mapping[str, int] | None:
        """Split -> size of all its image files, where that is known."""
        return None


class DigitsSource(Source):
    """Inside scikit-learn, so there is nothing to name: studies have no such section."""

    known_classes = 10
    is_small = True


class ChecksumOverride(Section):
    """Why an archive may differ from the published one; the reason is kept in the manifest."""

    reason: Reason
    """In words, e.g. `repacked by our cluster's administrators, contents unchanged`."""
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """The sum that the archive must have instead; null: whatever it has, unchecked."""


class Cifar10Source(Source):
    """CIFAR-10 as its authors hand it out for C programs: pixels as plain bytes in a gzipped tar."""

    known_classes = 10
    is_small = True
    known_images: ClassVar[Mapping[str, int]] = {"train": 50_000, "test": 10_000}

    archive: str
    """Path of `cifar-10-binary.tar.gz`."""
    checksum_override: ChecksumOverride | None = None
    """Why its MD5 is not the published one."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The archive."""
        return (self.archive,)


class IdxSource(Source):
    """IDX files, as MNIST has them: grey images and labels of each split, plain or gzipped."""

    is_small = True

    folder: str
    """Path of the folder with the files."""
    train: tuple[str, str] = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
    """Names of the training split's images and labels."""
    test: tuple[str, str] = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
    """The same of the evaluation split."""
    class_names: tuple[str, ...] = ()
    """In the order of the labels; none: the labels themselves."""
    transposed: bool = False
    """Whether images lie by columns, as EMNIST's do."""
    unpacked_md5: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]] = Field(default_factory=dict)
    """File -> the MD5 that its content must have, unpacked: archives pack the same bytes differently."""

    def files(self, split: str) -> tuple[Path, Path]:
        """Paths of a split's images and labels."""
        images, labels = self.train if split == "train" else self.test
        folder = Path(self.folder).expanduser()
        return folder / images, folder / labels

    @property
    def paths(self) -> tuple[str, ...]:
        """All four."""
        return tuple(str(path) for split in ("train", "test") for path in self.files(split))


class ImageNetSource(Source):
    """ILSVRC2012 as it is handed out: three archives, or the folder that Kaggle's download unpacks to."""

    train: str | None = None
    """Path of `ILSVRC2012_img_train.tar`."""
    val: str | None = None
    """Path of `ILSVRC2012_img_val.tar`."""
    devkit: str | None = None
    """Path of `ILSVRC2012_devkit_t12.tar.gz`: classes and the validation images' labels."""
    kaggle: str | None = None
    """Path of the folder with `ILSVRC/` and `LOC_val_solution.csv`, instead of the archives."""
    checksum_override: dict[Archive, ChecksumOverride] = Field(default_factory=dict)
    """Archives whose MD5 is not the published one."""
    classes: Annotated[tuple[WordNetId, ...] | None, Neutral(None)] = None
    """The only classes whose images are taken, by their WordNet ids, in any order; null: all thousand. They are
    numbered from 0 in the order of their ids, as all classes are."""

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        given = self.classes or ()
        if self.classes == () or len(set(given)) < len(given):
            repeated = sorted({wnid for wnid in given if given.count(wnid) > 1})
            raise ValueError(
                f"imagenet.classes {'lists ' + ', '.join(repeated) + ' twice' if repeated else 'is empty'}; list each "
                f"class once, or leave it out for all"
            )
        return self

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        archives = {"train": self.train, "val": self.val, "devkit": self.devkit}
        missing = [name for name, path in archives.items() if path is None]
        if self.kaggle is None and missing:
            raise ValueError(
                f"imagenet names no {', no '.join(missing)}; give the paths of train, val and devkit, or kaggle instead"
            )
        if self.kaggle is not None and (len(missing) < len(archives) or self.checksum_override):
            raise ValueError("imagenet names both kaggle and archives (or their checksums); keep one")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The archives, or the folder."""
        return tuple(path for path in (self.train, self.val, self.devkit, self.kaggle) if path)

    @property
    def split_bytes(self) -> Mapping[str, int] | None:
        """Those of the archives, where all classes are taken."""
        return {"train": 147_897_477_120, "test": 6_744_924_160} if self.classes is None else None


class FolderSource(Source):
    """An unpacked folder of images, one folder per class; classes are numbered in the order of their names."""

    root: str
    """Path of the folder that holds the splits."""
    train: str = "train"
    """Name of the training split's folder."""
    test: str = "test"
    """Name of the evaluation split's folder, e.g. `val`."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The root."""
        return (self.root,)

    @model_validator(mode="after")
    def _splits_differ(self) -> Self:
        _require_two(self.train, self.test, "folder")
        return self


class ParquetSource(Source):
    """Parquet files of a Hugging Face dataset; reading them needs the optional package pyarrow."""

    train: str
    """Path with `*` for the files of the training split, e.g. `<folder>/train-*.parquet`."""
    test: str
    """The same for the evaluation split, e.g. `<folder>/validation-*.parquet`."""
    image_column: str = "image"
    """Column of structs with `bytes` (the file) and `path` (its name, or null)."""
    label_column: str = "label"
    """Column of whole numbers from 0."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Both patterns."""
        return (self.train, self.test)

    @model_validator(mode="after")
    def _splits_differ(self) -> Self:
        _require_two(self.train, self.test, "parquet")
        return self


def _require_two(train: str, test: str, kind: str) -> None:
    """Scores on the images that were trained on say nothing of others."""
    if train == test:
        raise ValueError(f"{kind}.train and {kind}.test are both {train!r}; name a split of its own for testing")


SOURCES: dict[str, type[Source]] = {
    "digits": DigitsSource,
    "cifar10": Cifar10Source,
    "idx": IdxSource,
    "imagenet": ImageNetSource,
    "folder": FolderSource,
    "parquet": ParquetSource,
}
"""Kind -> its section."""


class DatasetIdentity(Section):
    """Which images there are and which of them are for testing."""

    kind: DatasetKind = "digits"
    """`digits`: the 1797 handwritten digits that ship inside scikit-learn, no download. `cifar10`: from its official
    archive. `idx`: MNIST's form, so Fashion-MNIST. `imagenet`: ILSVRC2012 from its official archives or Kaggle's
    layout. `folder`: `train/<class>/*` and `test/<class>/*`. `parquet`: files of Hugging Face datasets. All but the
    first need the section of the same name."""
    num_classes: PositiveInt = 10
    test_images: PositiveInt = 500
    """For kind `digits`: images kept for evaluation, spread over the classes as in the whole set; the rest trains."""
    split_seed: NonNegativeInt = 0
    """For kind `digits`: decides which images are test images; part of the dataset, not of a run."""

    @model_validator(mode="after")
    def _known_kinds_are_complete(self) -> Self:
        known = SOURCES[self.kind].known_classes or self.num_classes
        if self.num_classes != known:
            raise ValueError(
                f"num_classes is {self.num_classes}, but kind {self.kind!r} has {known} classes; "
                f"set num_classes: {known}"
            )
        if self.kind == "digits" and not 10 <= self.test_images <= 1000:
            raise ValueError(
                f"test_images is {self.test_images}; allowed for kind 'digits': 10 to 1000 of its 1797 images"
            )
        return self


class SourcedDataset(DatasetIdentity):
    """Which images, and where from: the section of the kind's name."""

    cifar10: Cifar10Source | None = None
    idx: Annotated[IdxSource | None, Neutral(None)] = None
    imagenet: ImageNetSource | None = None
    folder: FolderSource | None = None
    parquet: ParquetSource | None = None

    @property
    def source(self) -> Source:
        """The kind's own section."""
        found: Source | None = getattr(self, self.kind, None)
        return found or DigitsSource()
