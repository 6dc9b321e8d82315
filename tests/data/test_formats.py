"""Kinds of file by suffix and by first bytes."""

import gzip
import io
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import pytest

from nysformer.data.formats import binary_kind, format_of


def zipped(name: str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(name, "x")
    return raw.getvalue()


def tar() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF; extract its text first"),
        (zipped("word/document.xml"), "a DOCX document"),
        (zipped("xl/workbook.xml"), "an XLSX workbook"),
        (zipped("a.txt"), "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", "an old Microsoft Office file"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"GIF89a", "a GIF image"),
        (b"\x7fELF\x02", "an ELF program"),
        (gzip.compress(b"x"), "gzip data"),
        (tar(), "a tar archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07\0", "a RAR archive"),
    ],
    ids=lambda value: "raw" if isinstance(value, bytes) else value,  # an archive holds the time
)
def test_binary_kinds(raw: bytes, kind: str) -> None:
    assert str(binary_kind(raw)).startswith(kind)


def test_a_database(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("create table t (a)")
    connection.commit()
    connection.close()
    assert str(binary_kind((tmp_path / "a.db").read_bytes())).startswith("an SQLite database")


def test_text_is_no_kind_and_suffixes() -> None:
    assert binary_kind(b"plain text, BZ or not") is None
    assert binary_kind(b"") is None
    assert [format_of(name) for name in ("a.HTM", "a.csv.gz", "a.gz", "a")] == ["html", "csv", None, None]
