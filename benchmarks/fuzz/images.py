"""Fuzzed readers of images: single files, archives of them, idx files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
from pathlib import Path
from typing import Any

from PIL import Image

from fuzz.mutations import SECRET
from fuzz.reader import Case, Reader, written

FORMATS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "ppm": "PPM"}
MEMBERS = [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(6)]


def picture(seed: int, kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> bytes:
    """Make a small image of noise."""
    made, draw = io.BytesIO(), random.Random(seed)
    image = Image.frombytes("RGB", size, draw.randbytes(3 * size[0] * size[1])).convert(mode)
    image.save(made, kind)
    return made.getvalue()


class Images(Reader):
    """An image file."""

    words = (b"IHDR", b"IDAT", b"tRNS", b"Exif\0\0", b"\xff\xd8\xff", b"II*\0", b"RIFF", b"acTL", b"P6 9999999 9999999 255\n")

    def good(self) -> list[Case]:
        plain = [Case(f"x.{ending}", picture(1, kind)) for ending, kind in FORMATS.items()]
        modes = [("png", "P"), ("png", "LA"), ("png", "1"), ("png", "I;16"), ("tif", "CMYK"), ("jpg", "CMYK"), ("gif", "P")]
        more = [Case(f"x.{ending}", picture(2, FORMATS[ending], mode)) for ending, mode in modes if mode != "I;16"]
        return plain + more

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.processors.image.decoding import Decoding

        for resize in ("squash", "crop", "pad"):
            Decoding(8, 6, 3, resize, 1_000_000)(case.content, case.name)


def archive(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Make a tar archive of files and symbolic links."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return made.getvalue()


class Archives(Reader):
    """A tar archive of images, plain or compressed."""

    words = (b"../../", b"/etc/", b"ustar\0", b"0000644\0", b"77777777777\0", b"1", b"2", b"x", b"L", b"S", b"PaxHeader",
             *Reader.words)  # fmt: skip
    PACKERS = {".tar.gz": lambda c: gzip.compress(c, 1, mtime=0), ".tar.bz2": bz2.compress, ".tar.xz": lzma.compress}
    OPENERS = {".tar.gz": gzip.decompress, ".tar.bz2": bz2.decompress, ".tar.xz": lzma.decompress}

    def good(self) -> list[Case]:
        images = {name: picture(n) for n, name in enumerate(MEMBERS)}
        plain = archive(images)
        hostile = archive({**images, SECRET: b"x", "/cat/9.png": picture(9)}, {"cat/8.png": f"../{SECRET}"})
        split = archive({f"train/{name}": content for name, content in images.items()})
        packed = [Case(f"x{ending}", pack(plain)) for ending, pack in self.PACKERS.items()]
        return [Case("x.tar", content) for content in (plain, hostile, split)] + packed

    def change(self, draw: random.Random, case: Case) -> Case:
        ending = case.name[1:]
        if ending in self.PACKERS and draw.random() < 0.5:  # whole outside, hostile within
            inner = super().change(draw, Case(case.name, self.OPENERS[ending](case.content)))
            return Case(case.name, self.PACKERS[ending](inner.content))
        return super().change(draw, case)

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.registry import sources

        choices = {"path": written(case, scratch), "image_size": 4, "cache": str(scratch / "cache"), "on_bad": "skip"}
        next(iter(sources.build("image_folder", choices, {"seed": 0}).evaluate(None, "train")))


class Idx(Reader):
    """The idx files of MNIST, plain or gzipped."""

    def good(self) -> list[Case]:
        draw = random.Random(0)
        images = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (5, 4, 4)) + draw.randbytes(80)
        labels = bytes([0, 0, 8, 1]) + (5).to_bytes(4, "big") + bytes(range(5))
        return [Case("a", images), Case("a", labels), Case("a.gz", gzip.compress(images, mtime=0))]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.data.image import idx

        idx.read(written(case, scratch))
