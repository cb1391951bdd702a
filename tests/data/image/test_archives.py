import io
import tarfile

import pytest
import torch
from PIL import Image
from tests.helpers.image_files import build, splits

from dlx.data.image.archives import find
from dlx.errors import ComponentError
from dlx.processors.image.decoding import ENDINGS


@pytest.fixture
def folder(tmp_path):
    return splits(tmp_path / "data")


def archive(file, root, prefix=""):
    with tarfile.open(file, "w:gz" if str(file).endswith("gz") else "w") as made:
        made.add(root, prefix or ".")


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_archives_stand_for_folders(folder, ending):
    plain = build(folder)
    packed = folder.parent / "packed"
    packed.mkdir()
    for split, word in (("train", "Train"), ("valid", "VAL"), ("test", "testing")):
        archive(packed / f"{word}{ending}", folder / split, f"deep/{split}")
    archive(folder.parent / f"whole{ending}", folder, "whole")
    for path in (packed, folder.parent / f"whole{ending}"):
        for _ in range(2):
            source = build(path, folder.parent / "cache")
            for split in ("train", "val", "test"):
                one, other = next(plain.evaluate(None, split)), next(source.evaluate(None, split))
                assert torch.equal(one["target"], other["target"])
                assert torch.equal(one["input"], other["input"])
    assert not list((folder.parent / "cache").rglob("*.partial"))


def test_an_archive_that_is_cut_or_compressed_without_a_cache_is_told(folder):
    whole = folder.parent / "whole.tar.gz"
    archive(whole, folder)
    with pytest.raises(ComponentError, match="only by way of a cache"):
        build(whole, "none")
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(ComponentError, match="cannot be read as an archive"):
        build(whole)


def test_members_that_are_links_are_not_followed(tmp_path):
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as made:
        for kind in ("cat", "dog"):
            for n in range(3):
                buffer = io.BytesIO()
                Image.new("RGB", (4, 4), (n, n, n)).save(buffer, "PNG")
                member = tarfile.TarInfo(f"../{kind}/{n}.png")
                member.size = buffer.tell()
                buffer.seek(0)
                made.addfile(member, buffer)
        link = tarfile.TarInfo("cat/passwd.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    found = find(str(file), ENDINGS, None)
    assert found.links == ["a.tar: cat/passwd.png"]
    assert len(found.names) == 6
