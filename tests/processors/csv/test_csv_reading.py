"""The one reader of CSV: two ways of reading that agree, lines counted as editors do, and bounds."""

import gzip
import io
import os
import sys
import threading

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.errors import UsageError
from dlx.processors.csv import cells as cells_module
from dlx.processors.csv import fast
from dlx.processors.csv import text as csv_text
from dlx.processors.csv.cells import of_rows, read_cells
from dlx.processors.csv.text import blocks
from dlx.processors.rows import Row, number, read_file, read_lines

ALPHABET = [*list('ab1.,;"\n\r\t \x0b\x85é\ufeff'), "\r\n", "1,2\n", '"x,\n"', ",,"]


def write(folder, content, name="data.csv"):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def outcome(read):
    try:
        return [(list(row.cells), row.line) for row in read()]
    except UsageError as error:
        return str(error)


def by_columns(file, delimiter):
    found = read_cells(file, delimiter)
    rows = [*found.rows(), *found.ragged]
    return sorted(rows, key=lambda row: row.line)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join), st.sampled_from(",;\t "), st.sampled_from([3, 16, 2**20]))
def test_columns_hold_what_python_s_reader_finds_row_by_row(tmp_path_factory, text, delimiter, block):
    file = write(tmp_path_factory.mktemp("csv"), text)
    bare = text.removeprefix("\ufeff")
    wanted = outcome(lambda: read_lines(io.StringIO(bare, newline=""), file, delimiter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "BLOCK", block)
        patch.setattr(fast, "TOGETHER", 4)
        patch.setattr(fast, "FEWEST", 2)
        assert outcome(lambda: by_columns(file, delimiter)) == (wanted or f"{file}: is empty")
        assert outcome(lambda: read_file(file, delimiter)) == wanted


def test_what_is_plain_is_read_by_arrow(tmp_path, monkeypatch):
    file = write(tmp_path, '"a","b"\r\n1, 2\r\n\r\n 3,4\r\n')
    monkeypatch.setattr(fast, "_by_rows", None)  # it would fail if it were asked
    found = read_cells(file, ",")
    assert [row.cells for row in found.rows()] == [["a", "b"], ["1", "2"], ["3", "4"]]
    assert found.lines.tolist() == [1, 2, 4]


def test_line_numbers_survive_blank_lines_quoted_line_breaks_and_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_text, "BLOCK", 8)
    file = write(tmp_path, 'a,b\n\n1,2\n"x\ny",3\n\n4,5\n6\n')
    found = read_cells(file, ",")
    assert found.lines.tolist() == [1, 3, 5, 7]
    assert [(row.line, len(row.cells)) for row in found.ragged] == [(8, 1)]


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_and_pipes_are_read_like_files(tmp_path, monkeypatch, pack):
    content = pack("\ufeffa,b\n1,é\n".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))
    assert [row.cells for row in read_file("-", ",")] == [["a", "b"], ["1", "é"]]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    assert [row.cells for row in read_cells(str(pipe), ",").rows()] == [["a", "b"], ["1", "é"]]
    writer.join()


def test_lines_of_a_stream_come_before_its_end(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", 0) as end:
        stream = io.TextIOWrapper(io.BufferedReader(io.FileIO(reading)), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stream)
        end.write(b"1,2\n3,")
        rows = read_file("-", ",")
        assert next(rows).cells == ["1", "2"]
        end.write(b"4\n")
        assert next(rows).cells == ["3", "4"]
    stream.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), ":1: is no UTF-8 text: byte 2 is zero"),
        (b"a,b\n1,2\n3,\xff\n", r":3: is no UTF-8 text \(invalid start byte at byte 11\)"),
        (b"\xef\xbb\xbfa,b\n\xff,2\n", r":2: is no UTF-8 text \(invalid start byte at byte 8\)"),
        (b"a,b\n1,2\n" + b"x" * 131_073 + b",2\n", ":3: a cell is longer than 131,072 characters"),
        (b'a,b\n1,"2\n' + b"3,4\n" * 40_000, "a cell is longer than 131,072 characters"),
    ],
)
def test_what_is_no_table_is_told_with_its_line(tmp_path, content, message):
    file = write(tmp_path, content)
    with pytest.raises(UsageError, match=message):
        read_cells(file, ",")
    with pytest.raises(UsageError, match=message):
        list(read_file(file, ","))


def test_columns_beyond_two_gigabytes_have_larger_offsets(tmp_path, monkeypatch):
    monkeypatch.setattr(cells_module, "LARGE", 3)
    found = read_cells(write(tmp_path, "a,b\n1,2\n"), ",")
    assert pa.types.is_large_string(found.columns[0].type)
    small = of_rows(list(found.rows()), ["0", "1"])
    assert found.digest() == small.digest()


def test_a_digest_tells_cells_names_and_order_apart():
    def digest(rows, names=("x", "y")):
        return of_rows([Row(cells) for cells in rows], names).digest()

    one = digest([["1", "23"], ["4", "5"]])
    assert digest([["1", "23"], ["4", "5"]]) == one
    others = [
        digest([["12", "3"], ["4", "5"]]),
        digest([["4", "5"], ["1", "23"]]),
        digest([["1", "23"]]),
        digest([["1", "23"], ["4", "5"]], ("y", "x")),
        digest([["23", "1"], ["5", "4"]]),
    ]
    assert len({one, *others}) == 6


def test_cells_of_a_command_line_that_are_no_unicode_are_told(tmp_path):
    found = of_rows([Row(["\udcff"])], ["a"])
    assert found["a"].to_pylist() == ["\\udcff"]
    assert number("\udcff") is None


def test_a_folder_and_nothing_are_no_file(tmp_path):
    for file in (str(tmp_path), str(tmp_path / "none.csv")):
        with pytest.raises(UsageError, match="is no file"):
            list(blocks(file))
