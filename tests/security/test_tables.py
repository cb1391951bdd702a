"""Tables from strangers' hands: every read has a bound, and what is too much is one message."""

import gzip
import os

import pytest
import torch

from dlx.errors import UsageError
from dlx.processors.csv import text
from dlx.processors.csv.cells import read_cells
from dlx.processors.rows import read_file
from dlx.registry import sources
from dlx.registry.signatures import check


def write(folder, content, name="data.csv"):
    file = folder / name
    file.write_bytes(content)
    return str(file)


def refused(file, message):
    for read in (lambda: read_cells(file, ","), lambda: list(read_file(file, ","))):
        with pytest.raises(UsageError, match=message) as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"1,", b"x", b'"'])
def test_one_endless_line_in_a_small_archive(tmp_path, content):
    refused(write(tmp_path, gzip.compress(content * 20_000_000), "a.csv.gz"), "is longer than|longer than 131,072 characters")


def test_an_archive_that_unpacks_to_far_more_than_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "UNPACKED", 2**20)
    bomb = write(tmp_path, gzip.compress(b"1,2\n" * 2_000_000), "bomb.csv.gz")
    refused(bomb, "unpacks to more than 200 times its size; unpack it first if that is right")
    honest = write(tmp_path, gzip.compress(os.urandom(2**20).hex().encode().replace(b"0", b"\n")), "honest.csv.gz")
    assert len(read_cells(honest, ","))


def test_a_file_without_end(tmp_path, monkeypatch):
    refused("/dev/zero", "is no UTF-8 text|is longer than")
    monkeypatch.setattr(text, "WHOLE", 1000)
    refused(write(tmp_path, b"1,2\n" * 1000), "is longer than 1,000 bytes")


def test_a_sparse_file_of_a_terabyte(tmp_path):
    file = write(tmp_path, b"a,b\n")
    os.truncate(file, 2**40)
    refused(file, "is longer than 16,777,216 bytes")


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b",
        b"\x1f\x8bnonsense",
        gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9],
        gzip.compress(b"1,2\n", mtime=0)[:-8] + bytes(8),
    ],
)
def test_a_broken_archive(tmp_path, content):
    refused(write(tmp_path, content, "a.csv.gz"), "cannot be read")


def test_a_table_of_twenty_thousand_columns_is_read_to_its_end(tmp_path):
    names = ",".join(f"c{i}" for i in range(20_000))
    rows = "\n".join(",".join(str((i * j) % 97) for j in range(20_000)) for i in range(1, 6))
    file = write(tmp_path, f"{names}\n{rows}\n".encode())
    sources.names()
    values, _ = check(sources.signatures["csv"], {"train": file, "target": "c1", "val": 0, "test": 0})
    data = sources.build("csv", values, {"seed": 0, "task_target": "number"})
    assert data.facts["num_features"] == 19_999
    rows = list(data.processor.read([file]))
    assert torch.equal(data.processor.encode(rows)["input"], data.data["train"]["input"])
