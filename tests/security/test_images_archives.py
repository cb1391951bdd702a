"""Hostile archives: small files that unpack to large ones, headers that claim what is not there, and damage of any byte."""

import bz2
import contextlib
import gzip
import io
import lzma
import random
import struct
import tarfile

import pytest
from PIL import Image
from tests.helpers.image_files import build

from dlx.data.image import idx, unpacking
from dlx.data.image.archives import find
from dlx.errors import ComponentError
from dlx.processors.image.decoding import ENDINGS

PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def image(shade):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


def tar(more=(), count=6):
    """Pack images of two classes, and more members as name, size and content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        members = [
            (f"{kind}/{n}.png", None, image(10 * n + 100 * (kind == "dog"))) for kind in ("cat", "dog") for n in range(count)
        ]
        for name, size, content in [*members, *more]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
            if size is not None:
                place = packed.tell() - 512 - -(-len(content) // 512) * 512
                packed.seek(place)
                member.size = size
                packed.write(member.tobuf(tarfile.GNU_FORMAT)[:512])
                packed.seek(0, 2)
    return packed.getvalue()


def seen(tmp_path, content, name="a.tar"):
    (tmp_path / name).write_bytes(content)
    return find(str(tmp_path / name), ENDINGS, None)


@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_that_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(unpacking, "SMALL", 2**20)
    bomb = PACKERS[kind](tar([("cat/bomb.png", None, bytes(20 * 2**20))]))
    assert len(bomb) < 2**17
    (tmp_path / f"a.tar.{kind}").write_bytes(bomb)
    with pytest.raises(
        ComponentError, match=r"cannot be read as an archive: unpacks to more than .* bytes, 100 times its size"
    ):
        build(tmp_path / f"a.tar.{kind}")
    assert not list((tmp_path / "cache").rglob("*.partial"))


def test_real_images_pack_far_less_than_is_refused(tmp_path):
    for kind, pack in PACKERS.items():
        assert len(seen(tmp_path, pack(tar()), f"a.tar.{kind}").names) == 12


@pytest.mark.parametrize("size", [2**40, 2**62])
def test_a_member_that_claims_more_than_there_is_is_refused(tmp_path, size):
    with pytest.raises(ComponentError, match="cannot be read as an archive"):
        seen(tmp_path, tar([("cat/x.png", size, b"1")]))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_of_a_terabyte_is_not_read(tmp_path, kind):
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, 2**40
    file = tmp_path / "a.tar"
    file.write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    with open(file, "r+b") as sparse:
        sparse.truncate(2**40 + 2**20)
    with pytest.raises(ComponentError, match=r"a part of .* bytes is asked for at once"):
        find(str(file), ENDINGS, None)


def test_a_member_larger_than_an_image_may_be_is_a_bad_file(tmp_path):
    file = tmp_path / "a.tar"
    content = tar()
    member = tarfile.TarInfo("cat/huge.png")
    member.size = 2**39
    file.write_bytes(content[: -content[::-1].index(content.strip(b"\0")[-1:])])
    with open(file, "r+b") as sparse:
        sparse.truncate(-(-file.stat().st_size // 512) * 512)
        sparse.seek(0, 2)
        sparse.write(member.tobuf(tarfile.GNU_FORMAT))
        sparse.truncate(sparse.tell() + 2**39 + 1024)
    with pytest.raises(ComponentError, match=r"1 of 13 images cannot .*\n  cat/huge.png: oversized: it has more than"):
        build(file)


def test_files_with_holes_devices_and_links_are_told_and_not_read(tmp_path):
    packed = io.BytesIO(tar())
    with tarfile.open(fileobj=packed, mode="a") as made:
        for name, kind in (("cat/p.png", tarfile.FIFOTYPE), ("cat/d.png", tarfile.CHRTYPE), ("cat/l.png", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "cat/0.png"
            made.addfile(member)
    found = seen(tmp_path, packed.getvalue())
    assert [name.rpartition("/")[2] for name in found.links] == ["p.png", "d.png", "l.png"]
    assert len(found.names) == 12


def test_an_archive_damaged_anywhere_is_read_or_told(tmp_path):
    draw, whole = random.Random(0), tar(count=2)
    for number in range(600):
        kind = draw.choice(["", *(f".{kind}" for kind in PACKERS)])
        content = bytearray(PACKERS[kind[1:]](whole) if kind else whole)
        for _ in range(draw.choice([1, 1, 4, 30])):
            content[draw.randrange(min(len(content), draw.choice([600, 10**6])))] = draw.randrange(256)
        if number % 5 == 0:
            content = content[: draw.randrange(len(content))]
        with contextlib.suppress(ComponentError):
            seen(tmp_path, bytes(content), f"a.tar{kind}")


def test_an_idx_file_that_unpacks_without_end_or_claims_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "SMALL", 2**20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(20 * 2**20)))
    with pytest.raises(ComponentError, match="unpacks to more than"):
        idx.read(str(tmp_path / "bomb.gz"))
    (tmp_path / "plain").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 4))  # times each other: 0 in 64 bits
    with pytest.raises(ComponentError, match="is no whole idx file"):
        idx.read(str(tmp_path / "plain"))
    with open(tmp_path / "plain", "r+b") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(ComponentError, match="cannot be read: is larger than"):
        idx.read(str(tmp_path / "plain"))
