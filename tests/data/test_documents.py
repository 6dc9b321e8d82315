"""Every kind of file gives the same documents, and everything that is wrong is named with its file and line."""

import csv
import errno
import gzip
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from nysformer.data.documents import Documents, load_documents
from nysformer.data.reader import ReadLog, ReadOptions, read_strictly
from nysformer.data.reading import Column, Layout
from nysformer.data.values import text_list, text_value
from nysformer.errors import NysformerError

ROWS = [
    {"text": 'He said "no",\nthen left.', "label": "novel", "extra": 1},
    {"text": "Überall ist Text", "label": "poem", "extra": {"of": "another type"}},
    {"text": "2020-01-01", "label": 3, "extra": None},
]
EXPECTED = [(row["text"], str(row["label"])) for row in ROWS]


def load(*sources: Path, labelled: bool = True, **options: object) -> Documents:
    return load_documents(sources, ReadOptions(**options), labelled=labelled)


def labels(documents: Documents) -> list[tuple[str, object]]:
    return [(document.text, document.label) for document in documents]


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *EXPECTED])
    return path


def write_parquet(path: Path) -> Path:
    datasets.Dataset.from_list([{"text": text, "label": label} for text, label in EXPECTED]).to_parquet(path)
    return path


def write_gzip(path: Path) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in ROWS)
    return path


def write_array(path: Path) -> Path:
    path.write_text(json.dumps(ROWS, indent=2), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "write", "lines"),
    [
        ("a.jsonl", lambda path: jsonl(path, ROWS), [1, 2, 3]),
        ("a.json", write_array, [1, 2, 3]),
        ("a.jsonl.gz", write_gzip, [1, 2, 3]),
        ("a.csv", write_csv, [2, 4, 5]),
        ("a.parquet", write_parquet, [1, 2, 3]),
    ],
)
def test_every_format_gives_the_same_documents(
    tmp_path: Path, name: str, write: Callable[[Path], Path], lines: list[int]
) -> None:
    path = write(tmp_path / name)
    documents = load(path)
    assert labels(documents) == EXPECTED
    assert [document.place for document in documents] == [f"{path}:{line}" for line in lines]
    assert [document.line for document in documents] == lines


def test_a_folder_tree_is_labelled_by_the_folder_a_text_lies_in(tmp_path: Path) -> None:
    for name in ("law/b.txt", "law/a.md", "deep/er/fiction/c.rst", ".hidden/d.txt", "law/.e.txt", "law/picture.png"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}", encoding="utf-8")
    documents = load(tmp_path / "root", label_from="parent")
    assert labels(documents) == [
        ("text of deep/er/fiction/c.rst", "fiction"),
        ("text of law/a.md", "law"),
        ("text of law/b.txt", "law"),
    ]
    assert documents[0].place == str(tmp_path / "root/deep/er/fiction/c.rst")
    assert [document.label for document in load(tmp_path / "root")] == ["deep", "law", "law"]


def test_sources_of_several_kinds_keep_their_order_and_columns_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("body,kind\nfirst,x\n", encoding="utf-8")
    jsonl(tmp_path / "b.jsonl", [{"kind": "y", "body": "second"}])
    documents = load(tmp_path / "b.jsonl", tmp_path / "a.csv", text_column="body", label_column="kind")
    assert labels(documents) == [("second", "y"), ("first", "x")]


def test_without_labels(tmp_path: Path) -> None:
    assert labels(load(jsonl(tmp_path / "a.jsonl", [{"text": "one"}]), labelled=False)) == [("one", None)]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\n{"text": "one", "label": "x"}\n\n\n{"text": "two", "label": "x"}', "utf-8")
    assert [document.line for document in load(tmp_path / "a.jsonl")] == [2, 5]


def test_a_file_written_again_is_read_again(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": "before", "label": "x"}])
    assert load(path)[0].text == "before"
    jsonl(path, [{"text": "behind", "label": "x"}])
    assert load(path)[0].text == "behind"


BAD_FILES = {
    "invalid JSON": ("a.jsonl", b'{"text": "one", "label": "x"}\n{"text": \n', r"a\.jsonl:2: invalid JSON"),
    "not an object": ("a.jsonl", b'["one"]', r"a\.jsonl:1: a JSON str where an object"),
    "not UTF-8": ("a.jsonl", b'{"text": "\xff", "label": "x"}', r"a\.jsonl:1: not UTF-8 at byte 11"),
    "half a surrogate": (
        "a.jsonl",
        rb'{"text": "a\ud800", "label": "x"}',
        r"a\.jsonl:1: not valid UTF-8 at character 2",
    ),
    "no text column": ("a.jsonl", b'{"body": "one", "label": "x"}', r"no column 'text' \(there are: body, label\)"),
    "no label column": ("a.csv", b"text,kind\none,x\n", r"a\.csv:2: no column 'label' \(there are: text, kind\)"),
    "empty document": ("a.csv", b'text,label\none,x\n" ",x\n', r"a\.csv:3: the document is empty"),
    "null document": ("a.jsonl", b'{"text": null, "label": "x"}', r"a\.jsonl:1: the document is empty"),
    "document is a number": ("a.jsonl", b'{"text": 5, "label": "x"}', r"a\.jsonl:1: column 'text' is of type int"),
    "null label": ("a.jsonl", b'{"text": "one", "label": null}', r"a\.jsonl:1: the document has no label"),
    "empty label": ("a.csv", b"text,label\none,\n", r"a\.csv:2: the document has no label"),
    "list of labels": ("a.jsonl", b'{"text": "one", "label": ["x"]}', r"a\.jsonl:1: a label of type list"),
    "columns missing": ("a.csv", b"text,label\none\n", r"a\.csv:2: malformed row: 1 cells under a header of 2"),
    "table not UTF-8": (
        "a.csv",
        b"text,label\none,x\ntwo\xff,x\n",
        r"a\.csv:3: not UTF-8 at byte 4 \(looks like cp1252\)",
    ),
    "label not UTF-8": ("a.csv", b"text,label\none,x\xff\n", r"a\.csv:2: the label is not UTF-8 at byte 2"),
    "open quote": ("a.csv", b'text,label\n"one,x\n', r"a\.csv:2: malformed row"),
    "header only": ("a.csv", b"text,label\n", r"a\.csv: the file holds no document"),
    "empty array": ("a.json", b"[]", r"a\.json: the file holds no document"),
    "empty file": ("a.jsonl", b"", r"a\.jsonl: the file holds no document"),
    "empty text": ("a.txt", b" \n", r"a\.txt: the file holds no document"),
    "text not UTF-8": ("a.txt", b"ab\xff", r"a\.txt: not UTF-8 at byte 3"),
    "not Parquet": ("a.parquet", b"PAR1 or so", r"a\.parquet: not a whole Parquet file"),
    "not gzip": ("a.jsonl.gz", b"plain", r"a\.jsonl\.gz: cannot be read"),
    "cut gzip": ("a.jsonl.gz", gzip.compress(b'{"text": "one", "label": "x"}\n' * 9)[:-9], r"gz: cannot be read"),
    "unknown suffix": ("a.docx", b"PK", r"a\.docx: unknown kind of file; give one that ends in \.jsonl"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, case: str) -> None:
    name, content, message = BAD_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NysformerError, match=message) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_sources(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match=r"gone\.jsonl: no such file or folder"):
        load(tmp_path / "gone.jsonl")
    with pytest.raises(NysformerError, match="the folder holds no document"):
        load(tmp_path)
    with pytest.raises(NysformerError, match="no source is given"):
        load()


def test_no_progress_bar_beside_the_callers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    was_on = datasets.is_progress_bar_enabled()
    load(jsonl(tmp_path / "a.jsonl", [{"text": "one", "label": "x"}]))
    assert capfd.readouterr() == ("", "")
    assert datasets.is_progress_bar_enabled() == was_on


def test_files_named_in_other_bytes_are_named_printably(tmp_path: Path) -> None:
    folder = tmp_path / "law"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/\xff\n.txt", "wb") as file:
        file.write(b"text")
    (document,) = load(folder)
    assert document.place == f"{folder}/\\xff\\n.txt"
    assert document.source == f"{folder}/\udcff\n.txt"


def test_groups(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "thread": 1}, {"text": "b", "label": "x", "thread": None}]
    documents = load(jsonl(tmp_path / "a.jsonl", rows), group_column="thread")
    assert documents.groups == ["1", None]
    assert documents.select([1, 0]).groups == [None, "1"]


def test_labels_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": "a", "label": "Ham"}, {"text": "b", "label": "ham"}])
    with pytest.raises(NysformerError, match="labels 'Ham' and 'ham' differ only in case"):
        load(path)


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nysformer.data.documents.pyarrow.OSFile", full)
    with pytest.raises(NysformerError, match=r"temporary files cannot be written .*No space left.* TMPDIR") as caught:
        load(jsonl(tmp_path / "a.jsonl", [{"text": "a", "label": "x"}]))
    assert "\n" not in str(caught.value)


WRITES_NOTHING = """
import os, sys
from nysformer.data.documents import Documents, load_documents
from nysformer.data.reader import ReadLog, ReadOptions, read_strictly
from nysformer.data.reading import Column, Layout
from nysformer.data.values import text_list, text_value
documents = load_documents([sys.argv[1]], labelled=True)
print(os.path.dirname(documents._path))
raise SystemExit(3)
"""


@pytest.mark.parametrize("home", ["empty", "below a file"])
def test_nothing_is_left_behind_and_no_cache_is_needed(tmp_path: Path, home: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": "a", "label": "x"}])
    place, scratch = tmp_path / "home", tmp_path / "scratch"
    scratch.mkdir()
    if home == "empty":
        place.mkdir()
    else:
        (tmp_path / "file").write_text("")
        place = tmp_path / "file" / "home"
    names = ("HOME", "HF_HOME", "HF_DATASETS_CACHE", "XDG_CACHE_HOME")
    environment = {**os.environ, "TMPDIR": str(scratch), **dict.fromkeys(names, str(place))}
    done = subprocess.run(
        [sys.executable, "-c", WRITES_NOTHING, path], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith(str(scratch))
    assert list(scratch.iterdir()) == []
    assert home != "empty" or list(place.rglob("*")) == []


ASKED = (
    Layout(
        Column("words", "the words", nested=True),
        Column("tags", "their tags", parse=text_list, nested=True),
        (Column("question", "the question", parse=text_value),),
    ),
    Layout(Column("text", "the text"), Column("spans", "what is marked", nested=True)),
)
ODD = [
    {"words": ["a", "", "b c", "😀"], "tags": ["X", "O", "Y", "Z"], "question": "what?\nwhere?"},
    {"text": "some text", "spans": [{"start": 0, "end": 4, "share": 0.1}, [1, None, True]]},
    {"words": ["x"], "tags": ["2"], "question": "3"},
]


def test_records_of_any_layout_come_back_as_they_were_read(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ODD * 300)  # more than are written at a time
    documents = load_documents(path, layouts=ASKED, labelled=True)
    read = list(read_strictly(path, layouts=ASKED, labelled=True))
    assert len(documents) == 900
    assert list(documents) == read
    assert documents[0].words == ("a", "", "b c", "😀")
    assert documents[0].text == "a  b c 😀"
    assert documents[0].values == {"question": "what?\nwhere?"}
    assert documents[1].label == ({"start": 0, "end": 4, "share": 0.1}, (1, None, True))
    chosen = documents.select([899, 1, 1, 0])
    assert list(chosen) == [read[899], read[1], read[1], read[0]]
    assert list(chosen[1:3]) == list(chosen[-3:-1]) == [read[1], read[1]]
    assert list(documents[::-1][:2]) == [read[899], read[898]]
    assert (documents[-1], chosen[-1]) == (read[899], read[0])
    assert list(pickle.loads(pickle.dumps(chosen))) == list(chosen)
    with pytest.raises(IndexError):
        documents.select([900])
    with pytest.raises(IndexError):
        chosen[4]


def test_words_of_labels_are_counted_once_a_document(tmp_path: Path) -> None:
    names = (Layout(Column("text", "the text"), Column("label", "names", parse=text_list, nested=True)),)
    log = ReadLog()
    path = jsonl(tmp_path / "a.jsonl", [{"text": "a", "label": ["x", "x", "y"]}, {"text": "b", "label": ["x"]}])
    documents = load_documents(path, layouts=names, labelled=True, log=log)
    assert [document.label for document in documents] == [("x", "x", "y"), ("x",)]
    assert log.label_table() == [("x", 2), ("y", 1)]


def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    (tmp_path / "b.txt").write_text(" ", encoding="utf-8")
    (tmp_path / "c.txt").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    log = ReadLog()
    layouts = (Layout(Column("text", "the document")),)
    documents = load_documents([tmp_path], layouts=layouts, labelled=False, log=log, lenient=True)
    assert [record.text for record in documents] == ["one"]
    assert len(log.warnings) == 2
    assert log.lines()[0].startswith(f"warning: left out: {tmp_path / 'b.txt'}: the document is empty (1 more like it)")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(NysformerError, match=r"b\.txt: the document is empty|nothing to read|no document can be read"):
        load_documents([tmp_path], layouts=layouts, labelled=False, lenient=True)
