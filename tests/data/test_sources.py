"""Which files a folder stands for: the same for everyone, whatever lies in it."""

import os
import socket
from collections import Counter
from pathlib import Path

import pytest

from nysformer.data.records import RecordError
from nysformer.data.sources import File, check_sources, find_files, list_sources
from nysformer.errors import NysformerError


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def found(root: Path, **options: object) -> list[tuple[str, str | None]]:
    files = list(find_files(str(root), **options))
    assert all(isinstance(file, File) for file in files)
    return [(str(file.path.relative_to(root)), file.label) for file in files if isinstance(file, File)]


def names(root: Path, **options: object) -> list[str]:
    return [name for name, _ in found(root, **options)]


def test_every_format_is_found_in_order_and_the_rest_is_counted(tmp_path: Path) -> None:
    root = write(
        tmp_path, "b.txt", "a/z.html", "a/y.MD.gz", "a/x.png", "a/x.PNG", "Makefile", "a.tar.gz", ".h", ".g/c.txt"
    )
    write(root, "s.jsonl", "s.csv", "s.tsv", "s.parquet", "s.json")
    skipped: Counter[str] = Counter()
    known = ["b.txt", "s.csv", "s.json", "s.jsonl", "s.parquet", "s.tsv", "a/y.MD.gz", "a/z.html"]
    assert names(root, skipped=skipped) == known
    assert skipped == {".png": 2, "without a suffix": 1, ".tar.gz": 1, "hidden": 2}
    skipped.clear()
    everything = names(root, all_files=True, skipped=skipped)
    assert sorted(everything) == sorted([*known, "Makefile", "a.tar.gz", "a/x.PNG", "a/x.png"])
    assert skipped == {"hidden": 2}


def test_the_label_is_the_first_folder_below_the_source_or_the_parent(tmp_path: Path) -> None:
    root = write(tmp_path / "src", "perm/2023/a.txt", "perm/2024/b.txt", "copy/2023/c.txt", "rows.csv")
    assert found(root, label_from="top") == [
        ("rows.csv", None),
        ("copy/2023/c.txt", "copy"),
        ("perm/2023/a.txt", "perm"),
        ("perm/2024/b.txt", "perm"),
    ]
    assert [label for _, label in found(root, label_from="parent")] == [None, "2023", "2023", "2024"]
    assert [label for _, label in found(root)] == [None] * 4


def test_a_folder_of_files_and_a_file_are_labelled_by_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "spam", "a.txt", "b.txt")
    assert [label for _, label in found(root, label_from="top")] == ["spam", "spam"]
    monkeypatch.chdir(root)
    for source in (".", "a.txt", str(root) + "/"):
        assert {file.label for file in find_files(source, label_from="top") if isinstance(file, File)} == {"spam"}


def test_files_beside_folders_have_no_label(tmp_path: Path) -> None:
    root = write(tmp_path, "README.md", "spam/a.txt", "ham/b.txt")
    with pytest.raises(
        NysformerError, match=r"1 files lie directly in the folder \(such as README\.md\) and 2 in folders"
    ):
        list(find_files(str(root), label_from="top"))
    assert len(names(root, label_from="parent")) == len(names(root)) == 3


def test_links(tmp_path: Path) -> None:
    root, outside = write(tmp_path / "root", "a/1.txt", ".store/2.txt"), write(tmp_path / "outside", "3.txt")
    for link, target in {
        "a/broken.txt": "nowhere",
        "a/itself": "itself",
        "a/loop": "..",
        "a/above": str(tmp_path),
        "again": "a",
        "linked": str(outside),
        "linked-too": str(outside),
        "hidden": ".store",
        "file.txt": "a/1.txt",
    }.items():
        (root / link).symlink_to(target)
    (outside / "back").symlink_to(root)
    skipped: Counter[str] = Counter()
    assert names(root, skipped=skipped) == ["file.txt", "a/1.txt", "hidden/2.txt", "linked/3.txt"]
    assert skipped == {"broken link": 2, "link to a folder above or read already": 5, "hidden": 1}
    link = tmp_path / "link"
    link.symlink_to(root)
    assert names(link) == ["file.txt", "a/1.txt", "hidden/2.txt", "linked/3.txt"]


def test_pipes_and_sockets_in_a_folder_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(write(tmp_path, "a.txt") / "pipe.txt")
    monkeypatch.chdir(tmp_path)  # a socket's name may be a hundred bytes long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.txt")
        skipped: Counter[str] = Counter()
        assert names(tmp_path, all_files=True, skipped=skipped) == ["a.txt"]
    assert skipped == {"pipe, socket or device": 2}


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, "a/1.txt", "b/2.txt")
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    fault, file = find_files(str(root))
    assert isinstance(fault, RecordError)
    assert "the folder cannot be read (Permission denied)" in fault.reason
    assert isinstance(file, File)


def test_a_deep_tree(tmp_path: Path) -> None:
    path = tmp_path
    for _ in range(400):
        path = path / "d"
    os.makedirs(path)
    (path / "a.txt").write_text("a")
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize(
    ("sources", "words"),
    [([], "no source is given"), ([3], "of type int"), ([""], "names no file"), (["a\0b"], "names no file")],
)
def test_lists_of_sources(sources: list[object], words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        list_sources(sources)
    assert list_sources("ab.txt") == list_sources(Path("ab.txt")) == ["ab.txt"]


def check(*sources: Path, labelled: bool = False) -> None:
    check_sources([str(source) for source in sources], input_format=None, all_files=False, labelled=labelled)


def test_what_cannot_be_a_source(tmp_path: Path) -> None:
    root = write(tmp_path, "a.txt", "b.bin", "only/c.png")
    (root / "empty.csv").touch()
    (root / "none").mkdir()
    check(root / "a.txt", root / "empty.csv", root / "none")
    check(root / "b.bin")
    for sources, words in (
        ([root / "absent"], "absent: no such file or folder"),
        ([root / "a.txt" / "b"], "no such file or folder"),
        ([root / ("x" * 999)], "cannot be read"),
        ([root / "empty.csv"], "the file holds no document; name another"),
        ([root / "none"], "the folder holds no document; name another"),
        ([root / "only"], "the folder holds no document; it skips 1 .png"),
        ([root / "none", root / "empty.csv"], "the folder holds no document, nor do the 1 other sources"),
    ):
        with pytest.raises(NysformerError, match=words):
            check(*sources)
    with pytest.raises(NysformerError, match="unknown kind of file"):
        check(root / "b.bin", labelled=True)
