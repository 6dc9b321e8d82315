"""The licence corpus is what its documentation says, parts no group, and is written whole or not at all."""

import json
from collections import Counter
from importlib import metadata
from pathlib import Path
from statistics import median

import pytest

from nysformer.data import licences
from nysformer.data.licences import (
    CATEGORIES,
    LicenceCorpus,
    build_licence_corpus,
    licence_data,
    licence_text,
    read_licences,
)
from nysformer.errors import NysformerError

LONG = "word " * 200


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> LicenceCorpus:
    return build_licence_corpus(tmp_path_factory.mktemp("corpus"), seed=0)


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_entry(data: Path, name: str, header: str, text: str) -> None:
    path = data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\n{header}\n---\n\n{text}\n", encoding="utf-8")


def test_the_facts_of_the_corpus(corpus: LicenceCorpus) -> None:
    words = [len(row["text"].split()) for path in (corpus.train, corpus.valid, corpus.test) for row in rows(path)]
    assert len(words) == sum(corpus.documents.values()) == 3389
    assert (min(words) >= 200, median(words), max(words)) == (True, 441, 13870)
    assert round(sum(count > 1500 for count in words) / len(words), 2) == 0.28
    assert corpus.groups == 984


def test_no_group_on_two_sides(corpus: LicenceCorpus) -> None:
    documents = json.loads(corpus.split.read_text(encoding="utf-8"))["documents"]
    sides = {(entry["group"], entry["split"]) for entry in documents.values()}
    assert len(sides) == corpus.groups
    largest, _ = Counter(entry["group"] for entry in documents.values()).most_common(1)[0]
    assert (largest, "train") in sides


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_split_file_and_files_agree_and_hold_every_category(corpus: LicenceCorpus, split: str) -> None:
    documents = json.loads(corpus.split.read_text(encoding="utf-8"))["documents"]
    written = {row["id"]: row["label"] for row in rows(corpus.directory / f"{split}.jsonl")}
    assert written == {id_: entry["label"] for id_, entry in documents.items() if entry["split"] == split}
    assert set(written.values()) == set(CATEGORIES)


def test_no_text_twice(corpus: LicenceCorpus) -> None:
    texts = [
        " ".join(row["text"].lower().split())
        for path in (corpus.train, corpus.valid, corpus.test)
        for row in rows(path)
    ]
    assert len(set(texts)) == len(texts)


def test_a_corpus_that_stands_is_used_again(corpus: LicenceCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: Path) -> None:
        raise AssertionError("read the package again")

    monkeypatch.setattr(licences, "read_licences", fail)
    assert build_licence_corpus(corpus.directory, seed=0) == corpus


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder like the package's: two categories, enough licences of each to split."""
    data = tmp_path / "data"
    for number in range(60):
        category = "Permissive" if number % 2 else "Commercial"
        text = " ".join(f"w{number}x{word}" for word in range(200))
        write_entry(data, f"licenses/l{number:02}.LICENSE", f"key: l{number:02}\ncategory: {category}", text)
    (data / "rules").mkdir()
    return data


def test_what_is_read_and_what_is_not(package: Path) -> None:
    write_entry(package, "licenses/french.LICENSE", "key: french\ncategory: Permissive\nlanguage: fr", LONG + "a")
    write_entry(package, "licenses/old.LICENSE", "key: old\ncategory: Permissive\nis_deprecated: yes", LONG + "b")
    write_entry(package, "licenses/short.LICENSE", "key: short\ncategory: Permissive", "two words")
    write_entry(package, "licenses/cla.LICENSE", "key: cla\ncategory: CLA", LONG + "c")
    write_entry(package, "rules/text.RULE", "license_expression: l01\nis_license_text: yes", LONG + "d")
    write_entry(package, "rules/of-short.RULE", "license_expression: short\nis_license_text: yes", LONG + "e")
    write_entry(package, "rules/notice.RULE", "license_expression: l01\nis_license_notice: yes", LONG + "f")
    write_entry(package, "rules/both.RULE", "license_expression: l01 AND l02\nis_license_text: yes", LONG + "g")
    write_entry(package, "rules/cla.RULE", "license_expression: cla\nis_license_text: yes", LONG + "h")
    read = {document.id: document for document in read_licences(package)}
    assert set(read) == {f"licenses/l{number:02}.LICENSE" for number in range(60)} | {
        "rules/text.RULE",
        "rules/of-short.RULE",
    }
    assert (read["rules/text.RULE"].key, read["rules/text.RULE"].label) == ("l01", "Permissive")
    assert read["rules/text.RULE"].text == LONG + "d"


def test_duplicates_stand_once_and_contradictions_not_at_all(package: Path) -> None:
    rule = "license_expression: {}\nis_license_text: yes"
    write_entry(package, "rules/a.RULE", rule.format("l01"), LONG + "Same")
    write_entry(package, "rules/b.RULE", rule.format("l03"), LONG.replace(" ", "\n") + "SAME")
    write_entry(package, "rules/c.RULE", rule.format("l01"), LONG + "contradiction")
    write_entry(package, "rules/d.RULE", rule.format("l02"), LONG + "contradiction")
    assert [document.id for document in read_licences(package) if document.id.startswith("rules/")] == ["rules/a.RULE"]


def test_damage_is_noticed_and_mended(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "licence_data", lambda: package)
    first = build_licence_corpus(tmp_path / "out", seed=0)
    whole = first.train.read_bytes()
    first.train.write_bytes(whole[:100])
    assert build_licence_corpus(tmp_path / "out", seed=0) == first
    assert first.train.read_bytes() == whole
    first.split.write_text("{", encoding="utf-8")
    assert build_licence_corpus(tmp_path / "out", seed=0) == first
    other = build_licence_corpus(tmp_path / "out", seed=1)
    assert (other.seed, other.train.read_bytes() != whole) == (1, True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "split.json",
        "test.jsonl",
        "train.jsonl",
        "valid.jsonl",
    ]


def test_a_killed_build_leaves_no_split_file(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "licence_data", lambda: package)
    corpus = build_licence_corpus(tmp_path / "out", seed=0)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(licences, "split_by_group", killed)
    with pytest.raises(KeyboardInterrupt):
        build_licence_corpus(tmp_path / "out", seed=1)
    assert not corpus.split.exists()


def test_a_file_without_a_header_is_named(package: Path) -> None:
    (package / "licenses" / "l05.LICENSE").write_text("no header", encoding="utf-8")
    with pytest.raises(NysformerError, match=r"l05\.LICENSE: no YAML header"):
        read_licences(package)


def test_one_licence_by_its_key(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "licence_data", lambda: package)
    assert licence_text("l07").startswith("w7x0 w7x1 ")
    with pytest.raises(NysformerError, match="no licence 'none'"):
        licence_text("none")


def test_nothing_left(tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="no licence texts"):
        read_licences(tmp_path)


def test_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(NysformerError, match=r"pip install nysformer\[demo\]"):
        licence_data()
    with pytest.raises(NysformerError, match=r"pip install nysformer\[demo\]"):
        build_licence_corpus(tmp_path)


def test_a_folder_that_cannot_be_written(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "licence_data", lambda: package)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(NysformerError, match="cannot write the corpus"):
        build_licence_corpus(tmp_path / "file" / "out")
