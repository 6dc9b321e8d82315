"""One reader: the same documents, in the same order, lenient or strict, with or without labels."""

import gzip
import io
import json
import os
import threading
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from nysformer.data.documents import load_documents
from nysformer.data.reader import ReadLog, ReadOptions, read_records, read_strictly
from nysformer.data.records import Item, Record, RecordError
from nysformer.errors import NysformerError


def read(source: object, *, labelled: bool = False, log: ReadLog | None = None, **options: object) -> list[Item]:
    return list(read_records(source, ReadOptions(**options), labelled=labelled, log=log))


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    write(root / "b" / "1.txt", "one")
    write(root / "a" / "deep" / "2.html", "<p>two")
    write(root / "c" / "3.md.gz", gzip.compress(b"three"))
    write(root / "rows.jsonl", '{"text": "four", "label": "b"}\n{"text": "five", "label": "a"}\n')
    write(root / "rows.csv.gz", gzip.compress(b"text,label\nsix,c\n"))
    parquet.write_table(pyarrow.table({"text": ["seven"], "label": ["c"]}), root / "rows.parquet")
    write(root / "a" / "picture.png", b"\x89PNG\r\n\x1a\n")
    (root / "a" / "broken.txt").symlink_to("nowhere")
    return root


def test_training_and_prediction_read_a_folder_alike(tree: Path) -> None:
    lenient, log = read(tree), ReadLog()
    documents = load_documents([tree], labelled=True, log=log)
    assert [item.text for item in lenient if isinstance(item, Record)] == [document.text for document in documents]
    assert [document.text for document in documents] == ["six", "four", "five", "seven", "two", "one", "three"]
    assert [document.label for document in documents] == ["c", "b", "a", "c", "a", "b", "c"]
    assert log.skipped == {".png": 1, "broken link": 1}
    assert log.lines() == ["skipped: 1 .png, 1 broken link"]
    assert log.label_table() == [("c", 3), ("a", 2), ("b", 2)]
    assert (log.files, log.documents) == (6, 7)


def test_other_columns_come_along(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,text,label,note\n7,one,x,n\n")
    (record,) = read(path)
    assert isinstance(record, Record)
    assert record.columns == {"id": "7", "label": "x", "note": "n"}
    (record,) = read(path, labelled=True)
    assert isinstance(record, Record)
    assert (record.label, record.columns) == ("x", {"id": "7", "note": "n"})
    (record,) = read_records(path, labelled=False, columns=False)
    assert isinstance(record, Record)
    assert record.columns == {}


def test_labels_are_normalized_and_it_is_said(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": label} for label in ("ham ", "ham", True, "True", 1, 1.0)]
    log = ReadLog()
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    items = read(path, labelled=True, log=log)
    assert [item.label for item in items if isinstance(item, Record)] == ["ham", "ham", "true", "true", "1", "1"]
    assert log.lines() == ["labels: 3 written otherwise, such as 'ham ' for 'ham', count as one spelling"]


def test_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a", "g": 1}\n{"text": "b", "g": null}\n{"text": "c", "g": NaN}\n')
    assert [item.group for item in read(path, group_column="g") if isinstance(item, Record)] == ["1", None, None]
    with pytest.raises(NysformerError, match=r"a\.txt: no column 'g': a text file has none"):
        list(read_strictly(write(tmp_path / "a.txt", "a"), ReadOptions(group_column="g"), labelled=False))


def test_a_table_without_the_column_says_so_once(tmp_path: Path) -> None:
    write(tmp_path / "f" / "a.csv", "body\n" + "x\n" * 100)
    write(tmp_path / "f" / "b.txt", "good")
    fault, good = read(tmp_path / "f")
    assert isinstance(fault, RecordError)
    assert "no column 'text' (there are: body)" in fault.reason
    assert isinstance(good, Record)


EMPTY: dict[str, bytes] = {
    "a.txt": b"",
    "blank.txt": b" \n\n",
    "mark.txt": b"\xef\xbb\xbf",
    "a.html": b"",
    "none.html": b"<script>x</script>",
    "a.jsonl": b"",
    "blank.jsonl": b"\n \n",
    "a.json": b"[]",
    "a.csv": b"",
    "blank.csv": b"\n \n\n",
    "header.csv": b"text,label\n",
    "a.tsv": b"",
    "header.tsv": b"text\tlabel\n",
    "a.parquet": b"",
    "a.jsonl.gz": gzip.compress(b""),
    "a.txt.gz": gzip.compress(b""),
}


@pytest.mark.parametrize("name", [*EMPTY, "rows.parquet", "folder"])
@pytest.mark.parametrize("labelled", [False, True])
def test_empty_sources_answer_alike(tmp_path: Path, name: str, labelled: bool) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name == "rows.parquet":
        text = pyarrow.array([], pyarrow.string())
        parquet.write_table(pyarrow.table({"text": text, "label": text}), path)
    else:
        path.write_bytes(EMPTY[name])
    with pytest.raises(NysformerError, match=r"the (file|folder) holds no document; name another$"):
        list(read_records(path, labelled=labelled))
    with pytest.raises(NysformerError, match=r"holds no document, nor do the 1 other sources; name another$"):
        list(read_records([path, path], labelled=labelled))
    good = write(tmp_path / "good.csv", "text,label\na,x\n")
    fault, record = read_records([path, good], labelled=labelled)
    assert isinstance(fault, RecordError)
    assert fault.source == str(path)
    assert fault.line is None
    assert isinstance(record, Record)
    with pytest.raises(NysformerError, match=r"holds no document|the document is empty"):
        list(read_strictly([path, good], labelled=labelled))


def test_empty_standard_input() -> None:
    for name in ("jsonl", "csv", "tsv", "text", "html", "lines"):
        with pytest.raises(NysformerError, match="<stdin>: the input holds no document"):
            list(read_records("-", ReadOptions(input_format=name), labelled=False, stdin=io.BytesIO(b"\n")))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.html", "noname", "a.txt.gz"])
def test_binary_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    raw = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    path = write(tmp_path / "f" / name, gzip.compress(raw) if name.endswith("gz") else raw)
    (fault,) = read(tmp_path / "f", all_files=True)
    assert fault == RecordError(str(path), None, "a PDF; extract its text first")
    with pytest.raises(NysformerError, match="a PDF; extract its text first"):
        list(read_strictly(path, ReadOptions(all_files=True), labelled=True))
    kind = "csv" if name == "a.csv" else "jsonl"
    (fault,) = read_records("-", ReadOptions(input_format=kind), labelled=False, stdin=io.BytesIO(raw))
    assert fault == RecordError("<stdin>", None, "a PDF; extract its text first")


def test_zero_bytes_late_in_a_text(tmp_path: Path) -> None:
    (fault,) = read(write(tmp_path / "a.txt", b"x" * 100_000 + b"\0"))
    assert "zero byte in the text" in str(fault)


def test_encodings(tmp_path: Path) -> None:
    text = "Größe, naïve"
    for name, content in (
        ("a.txt", text),
        ("a.jsonl", json.dumps({"text": text}, ensure_ascii=False)),
        ("a.html", text),
    ):
        for encoding in ("cp1252", "utf-16", "utf-8-sig"):
            path = write(tmp_path / name, content.encode(encoding))
            (item,) = read(path, encoding=encoding)
            assert isinstance(item, Record)
            assert item.text == text
    (fault,) = read(write(tmp_path / "b.txt", text.encode("cp1252")))
    assert "(looks like cp1252); give encoding='cp1252'" in str(fault)


def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "in.jsonl"
    os.mkfifo(pipe)
    sender = threading.Thread(target=lambda: pipe.write_text('{"text": "sent", "label": "x"}\n'))
    sender.start()
    records = list(read_strictly(pipe, labelled=True))
    sender.join()
    assert records == [Record("sent", str(pipe), 1, "x")]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"text_column": 5}, "text_column: 5 is not a text"),
        ({"columns": ["a"]}, "columns: 'a' has no =; give a pair such as question=query"),
        ({"columns": 3}, "columns: 3 is no mapping of names"),
        ({"columns": {"text": 3}}, "columns: 3 is not a text"),
        ({"text_column": "x", "label_column": "x"}, "is the column of the label or group, too"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"encoding": "klingon"}, "encoding"),
        ({"input_format": "xml"}, "input_format: 'xml' is unknown"),
        ({"label_from": "child"}, "label_from: 'child' is unknown"),
    ],
)
def test_options_that_cannot_be_meant(option: dict[str, object], words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        ReadOptions(**option)
