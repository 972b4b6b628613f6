"""Which images a study is about, where they come from, and at what size they are seen.

Three sections share a base: jobs that read images get a `Dataset`, `titok prepare` gets a `Preparation`, and a study's
`dataset` is both. So another image size prepares nothing anew, and archives that move retrain nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from titok.config.section import Neutral, NonNegativeInt, PositiveInt, Section

DatasetKind = Literal["digits", "cifar10", "imagenet", "folder", "parquet"]
ResizeRule = Literal["official", "adm", "bilinear"]
Archive = Literal["train", "val", "devkit"]
WordNetId = Annotated[str, StringConstraints(pattern=r"^n\d{8}$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]
CLASSES = {"digits": 10, "cifar10": 10}
"""Kinds whose number of classes is known."""
SMALL: tuple[DatasetKind, ...] = ("digits", "cifar10")
"""Kinds whose images are small, square, and fit into memory."""


class DatasetIdentity(Section):
    """Which images there are and which of them are for testing."""

    kind: DatasetKind = "digits"
    """`digits`: the 1797 handwritten digits that ship inside scikit-learn, no download. `cifar10`: from its official
    archive. `imagenet`: ILSVRC2012 from its official archives or Kaggle's layout. `folder`: `train/<class>/*` and
    `test/<class>/*`. `parquet`: files of Hugging Face datasets. All but the first need the section of the same name."""
    num_classes: PositiveInt = 10
    test_images: PositiveInt = 500
    """For kind `digits`: images kept for evaluation, spread over the classes as in the whole set; the rest trains."""
    split_seed: NonNegativeInt = 0
    """For kind `digits`: decides which images are test images; part of the dataset, not of a run."""

    @model_validator(mode="after")
    def _known_kinds_are_complete(self) -> Self:
        known = CLASSES.get(self.kind, self.num_classes)
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


class Dataset(DatasetIdentity):
    """What jobs that read images know of them; defaults are those of the study in miniature."""

    resize: PositiveInt = 18
    """Pixels of the shorter edge after resizing, before the crop."""
    image_size: PositiveInt = 16
    """Side of the square crop that models see."""
    resize_rule: ResizeRule = "official"
    """`official`: bicubic, the longer edge follows (truncated) and crops are windows of it. `adm`: ADM's central square
    of `resize` x `resize` pixels (box halvings, then bicubic), of which crops are windows. `bilinear`: as `official`
    with another filter, as MaskBit does."""
    in_memory: bool = True
    """True: a split is decoded and resized once and kept as one array, which needs images that are square after
    resizing and memory for all of them (number x resize x resize x 3 bytes). False: images are decoded from the shards
    whenever they are needed. Where nothing is said, the kinds `digits` and `cifar10` are kept in memory."""

    @model_validator(mode="before")
    @classmethod
    def _small_kinds_surely_fit(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "in_memory" in given:
            return given
        return {**given, "in_memory": given.get("kind", "digits") in SMALL}

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.resize < self.image_size:
            raise ValueError(
                f"resize is {self.resize}, smaller than image_size {self.image_size}; "
                f"a crop cannot be larger than the image: allowed: {self.image_size} or more"
            )
        return self


class ChecksumOverride(Section):
    """Why an archive may differ from the published one; the reason is kept in the manifest."""

    reason: Reason
    """In words, e.g. `repacked by our cluster's administrators, contents unchanged`."""
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """The sum that the archive must have instead; null: whatever it has, unchecked."""


class Cifar10Source(Section):
    """CIFAR-10 as its authors hand it out for C programs: pixels as plain bytes in a gzipped tar."""

    archive: str
    """Path of `cifar-10-binary.tar.gz`."""
    checksum_override: ChecksumOverride | None = None
    """Why its MD5 is not the published one."""


class ImageNetSource(Section):
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


class FolderSource(Section):
    """An unpacked folder of images, one folder per class; classes are numbered in the order of their names."""

    root: str
    """Path of the folder that holds the splits."""
    train: str = "train"
    """Name of the training split's folder."""
    test: str = "test"
    """Name of the evaluation split's folder, e.g. `val`."""


class ParquetSource(Section):
    """Parquet files of a Hugging Face dataset; reading them needs the optional package pyarrow."""

    train: str
    """Path with `*` for the files of the training split, e.g. `<folder>/train-*.parquet`."""
    test: str
    """The same for the evaluation split, e.g. `<folder>/validation-*.parquet`."""
    image_column: str = "image"
    """Column of structs with `bytes` (the file) and `path` (its name, or null)."""
    label_column: str = "label"
    """Column of whole numbers from 0."""


class ImageCounts(Section):
    """How many images each split must have."""

    train: PositiveInt
    test: PositiveInt


class Preparation(DatasetIdentity):
    """What `titok prepare` knows: which images, from where, and what may be wrong with them."""

    cifar10: Cifar10Source | None = None
    imagenet: ImageNetSource | None = None
    folder: FolderSource | None = None
    parquet: ParquetSource | None = None
    images: ImageCounts | None = None
    """The numbers to find, e.g. `{train: 1281167, test: 50000}`; another number is an error. Null: not checked."""
    allow_undecodable: NonNegativeInt = 0
    """Training images that may be left out because they cannot be decoded; more are an error, and so is a single one
    among the test images, always."""
    shard_images: PositiveInt = 4000
    """Images per shard; 4000 photographs of ImageNet are about 450 MB."""

    @model_validator(mode="after")
    def _source_fits_kind(self) -> Self:
        sources = set(get_args(DatasetKind)) & set(type(self).model_fields)
        given = sorted(name for name in sources if getattr(self, name) is not None)
        needed = [] if self.kind == "digits" else [self.kind]
        if given != needed:
            raise ValueError(
                f"kind is {self.kind!r}, which takes {f'the section {self.kind!r}' if needed else 'no source'}, but "
                f"found: {', '.join(given) or 'none'}; name the source of this kind and no other"
            )
        if self.kind == "digits" and (self.images is not None or self.allow_undecodable):
            raise ValueError("kind 'digits' has fixed images, all decodable; remove images and allow_undecodable")
        return self

    @model_validator(mode="after")
    def _classes_are_counted(self) -> Self:
        chosen = self.imagenet.classes if self.imagenet else None
        if chosen is not None and len(chosen) != self.num_classes:
            raise ValueError(
                f"num_classes is {self.num_classes}, but imagenet.classes lists {len(chosen)}; set num_classes: "
                f"{len(chosen)}"
            )
        return self


class StudyDataset(Dataset, Preparation):
    """A study's images: their source, their split, and the size they are seen at."""

    parts: PositiveInt = 1
    """Jobs that prepare a split side by side; the result is the same for any number, so choose it before preparing:
    another number later makes Snakemake look at all of it again."""

    def seen(self) -> Dataset:
        """What jobs that read images depend on."""
        return Dataset(**self.model_dump(include=set(Dataset.model_fields)))

    def prepared(self) -> Preparation:
        """What preparing depends on."""
        return Preparation(**self.model_dump(include=set(Preparation.model_fields)))
