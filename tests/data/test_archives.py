"""Tar archives by their headers: what is found, what is refused, and how every kind of damage is told.

Run: pytest tests/data/test_archives.py
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data.miniature import tar_of

from titok.data.archives import HashingReader, SeekingReader, scan_tar
from titok.errors import DataError

LONG = f"{'folder/' * 30}n01440764_18.JPEG"
FILES = [("n01440764_18.JPEG", b"a" * 700), ("empty.JPEG", b""), ("b.JPEG", b"b" * 512), ("c.JPEG", b"c" * 513)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def contents(path: Path, reader_type: type[SeekingReader] = SeekingReader) -> list[tuple[str, bytes]]:
    with reader_type(path) as reader:
        return [(member.name, path.read_bytes()[member.offset :][: member.length]) for member in scan_tar(reader)]


@pytest.mark.parametrize("reader_type", [SeekingReader, HashingReader])
@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_finds(tmp_path, tar_format, reader_type):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as tar:
        for name, data in [*FILES, *([(LONG, b"long"), ("n0_ü.JPEG", b"u")] * (tar_format != tarfile.USTAR_FORMAT))]:
            member = tarfile.TarInfo(name)
            # Python's own archives keep fractions of seconds in an extended header before every member.
            member.size, member.mtime = len(data), 1.5 if tar_format == tarfile.PAX_FORMAT else 1
            tar.addfile(member, io.BytesIO(data))
        tar.addfile(folder_member("folder/"))
    path = write(tmp_path / "a.tar", stream.getvalue())
    with tarfile.open(path) as tar:
        expected = [(member.name, tar.extractfile(member).read()) for member in tar.getmembers() if member.isfile()]
    assert contents(path, reader_type) == expected
    assert len(expected) >= 4


def folder_member(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return member


@pytest.mark.parametrize("chunk", [512, 1000, 4096, 2**22])
def test_one_pass_gives_inner_members_and_the_sum_of_the_whole(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("titok.data.archives._CHUNK", chunk)
    inner = [
        (f"n0{number}.tar", tar_of([(f"{number}_{image}", bytes([image]) * 900) for image in range(5)]))
        for number in range(4)
    ]
    path = write(tmp_path / "outer.tar", tar_of(inner))
    seen: list[int] = []
    with HashingReader(path, seen.append) as reader:
        found = [
            (outer.name, image.name, path.read_bytes()[image.offset :][: image.length])
            for outer in scan_tar(reader)
            for image in scan_tar(reader, outer.offset, outer.offset + outer.length, outer.name)
        ]
        assert reader.md5() == hashlib.md5(path.read_bytes()).hexdigest()
    assert found == [(f"n0{n}.tar", f"{n}_{i}", bytes([i]) * 900) for n in range(4) for i in range(5)]
    assert sum(seen) == path.stat().st_size
    assert len(seen) == -(-path.stat().st_size // chunk) + 1  # Every piece was read once; the last read finds the end.


def test_seeking_reads_headers_alone(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tar", tar_of([(f"{n}.JPEG", b"x" * 100_000) for n in range(20)]))
    read = []
    with SeekingReader(path) as reader:
        original = reader.read
        monkeypatch.setattr(reader, "read", lambda position, length: read.append(length) or original(position, length))
        assert len(list(scan_tar(reader))) == 20
    assert sum(read) == 21 * 512


def hostile(change: Callable[[tarfile.TarInfo], None]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("good.JPEG"))
        member = tarfile.TarInfo("n0_1.JPEG")
        change(member)
        tar.addfile(member)
    return stream.getvalue()


def named(name: str) -> Callable[[tarfile.TarInfo], None]:
    return lambda member: setattr(member, "name", name)


def typed(kind: bytes, target: str = "") -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = kind, target

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (named("/etc/passwd"), "'/etc/passwd' is refused, because its name leads out"),
        (named("../n0_1.JPEG"), r"'\.\./n0_1\.JPEG' is refused, because its name leads out"),
        (named("a/../../b.JPEG"), r"'a/\.\./\.\./b\.JPEG' is refused"),
        (named(f"{'a/' * 80}../b"), "is refused, because its name leads out"),
        (typed(tarfile.SYMTYPE, "/etc/passwd"), r"'n0_1\.JPEG' is refused, because it is a link to '/etc/passwd'"),
        (typed(tarfile.LNKTYPE, "good.JPEG"), r"because it is a link to 'good\.JPEG'"),
        (typed(tarfile.CHRTYPE), "because it is a device"),
        (typed(tarfile.BLKTYPE), "because it is a device"),
        (typed(tarfile.FIFOTYPE), "because it is a device"),
        (typed(b"S"), "because it is of the type b'S'"),
    ],
)
def test_hostile_members_are_refused_by_name(tmp_path, change, words):
    with pytest.raises(DataError, match=rf"h\.tar: member .*{words}"):
        contents(write(tmp_path / "h.tar", hostile(change)))


@pytest.mark.parametrize("reader_type", [SeekingReader, HashingReader])
def test_every_truncation_is_noticed(tmp_path, reader_type):
    whole = tar_of(FILES)
    end = len(whole.rstrip(b"\0"))  # Behind it lie the padding of the last member and the empty blocks.
    end += -end % 512
    for length in [0, 100, 511, 512, 513, 1000, 1536, 2560, *range(end - 600, end + 1, 75)]:
        path = write(tmp_path / "cut.tar", whole[:length])
        with pytest.raises(DataError, match=r"cut\.tar is truncated: .*fetch the archive again"):
            contents(path, reader_type)
    assert contents(write(tmp_path / "whole.tar", whole[: end + 512]), reader_type) == FILES


def test_an_inner_tar_that_is_cut_is_named(tmp_path):
    path = write(tmp_path / "outer.tar", tar_of([("n01440764.tar", tar_of(FILES)[:2000])]))
    with SeekingReader(path) as reader:
        (outer,) = scan_tar(reader)
        with pytest.raises(DataError, match=r"outer\.tar: n01440764\.tar is truncated"):
            list(scan_tar(reader, outer.offset, outer.offset + outer.length, outer.name))


@pytest.mark.parametrize("data", [b"\x89PNG" * 400, b"x" * 4096])
def test_what_is_no_tar_is_told(tmp_path, data):
    with pytest.raises(DataError, match=r"no\.tar is damaged: no tar header at byte 0 .*fetch the archive again"):
        contents(write(tmp_path / "no.tar", data))


def test_a_damaged_header_is_found(tmp_path):
    data = bytearray(tar_of(FILES))
    data[1536 + 3] ^= 1  # The second member's name no longer fits its header's sum.
    with pytest.raises(DataError, match=r"is damaged: no tar header at byte 1536 \(bad checksum\)"):
        contents(write(tmp_path / "d.tar", bytes(data)))


@pytest.mark.parametrize("extra", [b"x" * 40, b"0 path=a\n", b"99999 path=a\n", b"31 GNU.sparse.realsize=9999999\n"])
def test_hostile_extended_headers_are_refused(tmp_path, extra):
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, len(extra)
    data = header.tobuf(tarfile.USTAR_FORMAT) + extra.ljust(512, b"\0") + tar_of(FILES)
    with pytest.raises(DataError, match=r"is damaged: an extended header|sparse member is refused"):
        contents(write(tmp_path / "x.tar", data))


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.tar cannot be opened \(No such file or directory\); correct the path"):
        SeekingReader(tmp_path / "a.tar")
