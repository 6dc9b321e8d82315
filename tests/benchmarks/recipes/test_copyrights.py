"""Licences of a copyright file, and the file without their names."""

from pathlib import Path

import pytest

from benchmarks.recipes import copyrights

SOURCE = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2001 Ann Lee
License: GPL-2+ or Artistic-2.0, and Expat

Files: x
License: BSD-3-clause and/or GPL-2.0+ with OpenSSL exception

License: GPL-2+
 See `/usr/share/common-licenses/GPL-2'.

License:
 Nothing but GPL-2+.
"""


def test_names_are_found_in_one_spelling() -> None:
    assert copyrights.licence_names(SOURCE) == ["artistic-2", "bsd-3-clause", "expat", "gpl-2+"]


def test_no_name_is_left() -> None:
    text = copyrights.without_names(SOURCE, {"gpl-2+", "expat"})
    assert copyrights.licence_names(text) == []
    for name in ("GPL-2", "Expat", "Artistic", "BSD-3", "OpenSSL"):
        assert name not in text
    assert "Copyright: 2001 Ann Lee" in text
    assert "Nothing but ." in text


def test_rows_are_split_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copyrights, "DOCS", tmp_path)
    copyrights._files.cache_clear()
    for number in range(60):
        package = tmp_path / f"package{number:02}"
        package.mkdir()
        name = "Expat" if number % 2 else "ISC"
        words = " ".join(f"w{number}x{place}" for place in range(20))
        text = f"Format: http://dep.debian.net/deps/dep5/\n\nFiles: *\nLicense: {name}\n {words}\n"
        (package / "copyright").write_text(text, encoding="utf-8")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "copyright").write_text("License: ISC", encoding="utf-8")
    made = copyrights.make_copyrights(seed=0)
    assert "60 different" in copyrights.copyright_source().package
    copyrights._files.cache_clear()
    rows = [row for split in made.splits.values() for row in split]
    assert len(rows) == 60
    assert {tuple(row["label"]) for row in rows} == {("expat",), ("isc",)}
    assert not any("Expat" in row["text"] or "ISC" in row["text"] for row in rows)
