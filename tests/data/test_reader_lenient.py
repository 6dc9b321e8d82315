import gzip
import io
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nysformer.data.reader import ReadOptions, read_records
from nysformer.data.records import Item, Record, RecordError, Waiting
from nysformer.errors import NysformerError


def stream(sources: Sequence[str | Path], *, stdin: BinaryIO | None = None, **options: Any) -> Iterator[Item]:
    """As prediction reads: without labels."""
    return read_records(sources, ReadOptions(**options), labelled=False, stdin=stdin)


def read(path: Path, **options: object) -> list[object]:
    return list(stream([path], **options))


def reasons(items: list[object]) -> dict[int | None, str]:
    return {item.line: item.reason for item in items if isinstance(item, RecordError)}


def test_json_lines_in_order_with_bad_lines_named(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        b'{"text": "one"}',
        b"",
        b'{"text": "two"',
        b'{"body": "x", "id": 1}',
        b'{"text": "  "}',
        b'{"text": null}',
        b'{"text": 7}',
        b'"just a string"',
        b'{"text": "\xff"}',
        rb'{"text": "\ud800"}',
        b"[" * 100_000,
        b'{"text": "last, without a newline"}',
    ]
    path.write_bytes(b"\n".join(lines))
    items = read(path)
    assert [item for item in items if isinstance(item, Record)] == [
        Record("one", str(path), 1),
        Record("last, without a newline", str(path), 12),
    ]
    bad = reasons(items)
    assert list(bad) == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    for line, words in {
        3: "invalid JSON",
        4: "no column 'text' (there are: body, id)",
        5: "empty",
        6: "null",
        7: "type int",
        8: "JSON str where an object",
        9: "not UTF-8 at byte 11",
        10: "not valid UTF-8 at character 1",
        11: "invalid JSON",
    }.items():
        assert words in bad[line]
    assert str(items[1]).startswith(f"{path}:3: invalid JSON")


def test_byte_order_mark_carriage_returns_and_other_column(tmp_path: Path) -> None:
    path = tmp_path / "in.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"body": "a"}\r\n{"body": "b"}\r\n')
    assert [item.text for item in read(path, text_column="body")] == ["a", "b"]


def test_json_array(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{"text": "a"}, {"text": ""}, {"text": "c"}], indent=2))
    assert read(path) == [
        Record("a", str(path), 1),
        RecordError(str(path), 2, "the document is empty"),
        Record("c", str(path), 3),
    ]
    path.write_text('[{"text": "a"}, ')
    assert "invalid JSON array" in reasons(read(path))[None]


def test_compressed_and_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    whole = gzip.compress(b"".join(json.dumps({"text": os.urandom(500).hex()}).encode() + b"\n" for _ in range(300)))
    path.write_bytes(whole)
    assert len(read(path)) == 300
    path.write_bytes(whole[: len(whole) // 2])
    rest = tmp_path / "next.txt"
    rest.write_text("still read")
    items = list(stream([path, rest]))
    bad = [item for item in items if isinstance(item, RecordError)]
    assert len(bad) == 1
    assert bad[0].line is None
    assert "cannot be read after line " in bad[0].reason
    assert items[-1] == Record("still read", str(rest), None)


def test_csv_rows_carry_the_line_they_begin_on(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    long = "word " * 50_000  # past the csv module's own limit
    path.write_bytes(
        b'id,text\n1,one\n2,"two\nlines"\n\n3\n4,"x" y\n5,\xff\n6,' + long.encode() + b'\n7,"never closed\n8,x\n'
    )
    items = read(path)
    assert [(item.text, item.line) for item in items if isinstance(item, Record)] == [
        ("one", 2),
        ("two\nlines", 3),
        (long, 9),
    ]
    bad = reasons(items)
    assert list(bad) == [6, 7, 8, 10]
    assert "1 cells under a header of 2" in bad[6]
    assert "malformed row" in bad[7]
    assert bad[8] == "not UTF-8 at byte 1 (looks like cp1252); give encoding='cp1252'"
    assert "the quote that opens on line 10 is never closed and covers 2 lines" in bad[10]


def test_tsv(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv"
    path.write_text("text\tlabel\na, b\tx\n")
    assert read(path) == [Record("a, b", str(path), 2)]


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.table({"id": range(130), "text": ["a", None, ""] + ["b"] * 127}), path)
    items = read(path)
    assert len(items) == 130
    assert items[0] == Record("a", str(path), 1)
    assert items[-1] == Record("b", str(path), 130)
    assert list(reasons(items)) == [2, 3]
    with pytest.raises(NysformerError, match=r"no column 'body' \(there are: id, text\)"):
        stream([path], text_column="body")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(NysformerError, match="not a whole Parquet file"):
        stream([path])


def test_folder_is_walked_by_name_without_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/y.TXT", "skip.bin", ".hidden.txt", ".git/c.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    assert [item.text for item in read(tmp_path)] == ["b.txt", "a/y.TXT", "a/z.md"]


def test_text_files_of_any_name_when_named(tmp_path: Path) -> None:
    licence, empty, binary = tmp_path / "LICENSE", tmp_path / "empty.txt", tmp_path / "x.bin"
    licence.write_text("May be used.\n")
    empty.write_text("\n")
    binary.write_bytes(b"\x00\xff")
    assert list(stream([licence, empty, binary])) == [
        Record("May be used.\n", str(licence), None),
        RecordError(str(empty), None, "the document is empty"),
        RecordError(str(binary), None, "binary data (a zero byte at byte 1); extract its text first"),
    ]


def test_format_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text("one\n\ntwo\n")
    assert read(path, input_format="lines") == [Record("one", str(path), 1), Record("two", str(path), 3)]
    assert [item.text for item in stream(["-"], input_format="text", stdin=io.BytesIO(b"a\nb"))] == ["a\nb"]
    piped = io.BytesIO(b"text,n\nrow,1\n")
    assert [item.text for item in stream(["-"], input_format="csv", stdin=piped)] == ["row"]
    assert not piped.closed


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.jsonl", None, "no such file"),
        ("in.csv", "a,b\n1,2\n", r"no column 'text' \(there are: a, b\)"),
        ("in.csv.gz", "text\nnot compressed\n", "cannot be read"),
    ],
)
def test_refuses_at_once(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    good, path = tmp_path / "good.txt", tmp_path / name
    good.write_text("x")
    if content is not None:
        path.write_text(content)
    with pytest.raises(NysformerError, match=words):
        stream([good, path])


def test_refuses_nothing_an_empty_folder_and_parquet_from_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="no documents"):
        stream([])
    with pytest.raises(NysformerError, match="the folder holds no document"):
        stream([tmp_path])
    with pytest.raises(NysformerError, match="not open"):
        stream(["-"])
    with pytest.raises(NysformerError, match="as Parquet"):
        stream(["-"], input_format="parquet", stdin=io.BytesIO())


def test_a_quiet_pipe_says_waiting_before_it_blocks() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stdin:
        os.write(writing, b'{"text": "first"}\n{"text": "se')
        items = stream(["-"], stdin=stdin)
        assert next(items) == Record("first", "<stdin>", 1)
        assert next(items) == Waiting()  # half a line is not a document, and the pipe is empty

        def finish() -> None:
            os.write(writing, b'cond"}\n')
            os.close(writing)

        sender = threading.Thread(target=finish)
        sender.start()
        assert [item for item in items if not isinstance(item, Waiting)] == [Record("second", "<stdin>", 2)]
        sender.join()


@given(st.lists(st.text(), max_size=20), st.integers(1, 7))
def test_whatever_was_written_comes_back(texts: list[str], chunk: int) -> None:
    class Trickle(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(chunk)

    stdin = Trickle("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode())
    if not texts:
        with pytest.raises(NysformerError, match="the input holds no document"):
            list(stream(["-"], stdin=stdin))
        return
    items = [item for item in stream(["-"], stdin=stdin) if not isinstance(item, Waiting)]
    assert [item.line for item in items] == list(range(1, len(texts) + 1))
    for item, text in zip(items, texts, strict=True):
        assert item == Record(text, "<stdin>", item.line) if text.strip() else isinstance(item, RecordError)
