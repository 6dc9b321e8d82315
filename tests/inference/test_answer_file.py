import errno
import io
import itertools
import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny import save_classifier

from nysformer.data.records import Record, RecordError, Waiting
from nysformer.data.tables import TableFormat, table_format
from nysformer.errors import Interrupted, NysformerError
from nysformer.files.atomic import NamedFile, write_error
from nysformer.files.locks import LOCK, lock_folder
from nysformer.inference import answer_journal
from nysformer.inference.answer_file import answer_to_file
from nysformer.inference.answer_journal import JOURNAL, Answers
from nysformer.inference.answers import AnswerRows
from nysformer.inference.predict import Predictor
from nysformer.inference.unfinished import JOB, work_folder

ITEMS: list[Any] = [
    Record(f"{'a b c ' * (number * 7 % 19)}d {number % 10}", "mails.jsonl", number + 1, columns={"id": number})
    for number in range(120)
]
ITEMS[3] = RecordError("mails.jsonl", 4, "bad")
ITEMS[110] = Record("e", "b\udcff.txt", columns={"id": "\u2028 \udcfe"})
SUFFIXES = (".jsonl", ".csv", ".parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor.from_pretrained(folder, device="cpu", tokens_per_batch=256)


def answer(predictor: Predictor, items: Any, output: Path, **options: Any) -> Answers:
    form: TableFormat = table_format(output)
    settings = {"keep": ["id"], **options.pop("settings", {})}
    rows = AnswerRows(predictor.task, keep=settings["keep"])
    return answer_to_file(predictor, items, output, rows, form, settings=settings, **options)


def stopped_after(count: int, error: BaseException, items: Sequence[Any] = ITEMS) -> Iterator[Any]:
    yield from itertools.islice(items, count)
    raise error


def stop(predictor: Predictor, output: Path, count: int = 60, **options: Any) -> None:
    with pytest.raises(Interrupted):
        answer(predictor, stopped_after(count, KeyboardInterrupt()), output, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(one: Path, other: Path) -> bool:
    if one.suffix == ".parquet":
        return bool(pq.read_table(one).equals(pq.read_table(other)))
    return one.read_bytes() == other.read_bytes()


def journal(output: Path) -> Path:
    return work_folder(output) / JOURNAL


def test_rows_of_documents(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    items = [*ITEMS[:3], Waiting(), *ITEMS[3:5]]
    seen: list[Any] = []
    done = answer(predictor, items, output, seen=seen.append)
    assert (done.items, done.bad, len(seen)) == (5, 1, 5)
    assert names(tmp_path) == ["a.jsonl"]
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3, 5]
    assert [line["label"] for line in lines] == [each.label for each in predictor.predict([*ITEMS[:3], ITEMS[4]])]
    assert done.tokens == sum(line["length"] for line in lines)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), NysformerError("x.jsonl: broken"), RuntimeError("bug")])
def test_a_stopped_run_goes_on_to_the_same_file(
    predictor: Predictor, tmp_path: Path, suffix: str, error: BaseException
) -> None:
    whole, output = tmp_path / f"whole{suffix}", tmp_path / f"a{suffix}"
    answer(predictor, ITEMS, whole)
    expected = Interrupted if isinstance(error, KeyboardInterrupt) else type(error)
    with pytest.raises(expected) as caught:
        answer(predictor, stopped_after(70, error), output)
    assert not output.exists()
    assert isinstance(error, RuntimeError) or "documents are kept: go on with resume=True" in str(caught.value)
    with pytest.raises(NysformerError, match="unfinished run lies beside it; go on with resume=True, or start over"):
        answer(predictor, ITEMS, output)

    began: list[Answers] = []
    seen: list[Any] = []
    done = answer(predictor, ITEMS, output, resume=True, resumed=began.append, seen=seen.append)
    assert 0 < began[0].items <= 70
    assert began[0].items + len(seen) == done.items == len(ITEMS)
    assert (began[0].bad, done.bad) == (1, 1)
    assert names(tmp_path) == sorted([output.name, whole.name])
    if isinstance(error, KeyboardInterrupt):  # other errors end a window early
        assert same(output, whole)


def test_a_run_that_was_cut_off_anywhere_goes_on_to_the_same_bytes(predictor: Predictor, tmp_path: Path) -> None:
    whole, output = tmp_path / "whole.csv", tmp_path / "a.csv"
    answer(predictor, ITEMS, whole)
    stop(predictor, output, 119)
    before, job = journal(output).read_bytes(), (work_folder(output) / JOB).read_bytes()
    lines = before.splitlines(keepends=True)
    assert len(lines) > 3
    ends = [len(b"".join(lines[:number])) for number in range(len(lines) + 1)]
    for cut in [ends[0], ends[1] - 1, ends[2], ends[2] + 1, ends[-1]]:
        journal(output).parent.mkdir(exist_ok=True)
        journal(output).write_bytes(before[:cut])
        (work_folder(output) / JOB).write_bytes(job)
        (work_folder(output) / "whole").write_bytes(b"half a file")
        began: list[Answers] = []
        answer(predictor, ITEMS, output, resume=True, resumed=began.append)
        assert [each.windows for each in began] == [
            number for number in [sum(end <= cut for end in ends) - 1] if number
        ]
        assert same(output, whole)
        assert names(tmp_path) == ["a.csv", "whole.csv"]
        output.unlink()


def test_a_journal_that_is_damaged_is_used_up_to_there(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    stop(predictor, output)
    lines = journal(output).read_bytes().splitlines(keepends=True)
    for damage in (b"\0" * 40 + b"\n", b"{}\n", b"[1]\n", b'{"items": 1}\n'):
        journal(output).write_bytes(lines[0] + damage + b"".join(lines[1:]))
        began: list[Answers] = []
        with pytest.raises(Interrupted):
            answer(predictor, stopped_after(60, KeyboardInterrupt()), output, resume=True, resumed=began.append)
        assert began[0].windows == 1
        assert journal(output).read_bytes() == b"".join(lines)


def test_nothing_finished_leaves_nothing(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    with pytest.raises(Interrupted, match=r"a\.jsonl: interrupted; nothing was finished: start it again"):
        answer(predictor, stopped_after(0, KeyboardInterrupt()), output)
    with pytest.raises(NysformerError, match=r"^broken$"):
        answer(predictor, stopped_after(0, NysformerError("broken")), output)
    assert names(tmp_path) == []
    assert answer(predictor, ITEMS[:2], output, resume=True).items == 2


def test_another_model_and_other_settings_or_documents_are_refused(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "a.jsonl"
    stop(predictor, output)
    before = journal(output).read_bytes()

    def refused(message: str, model: Predictor = predictor, items: Sequence[Any] = ITEMS, **options: Any) -> None:
        with pytest.raises(NysformerError, match=message) as caught:
            answer(model, items, output, **{"resume": True, **options})
        assert len(str(caught.value).splitlines()) == 1
        assert journal(output).read_bytes() == before

    changed = r"a\.jsonl: the first \d+ documents are not those of the unfinished run; give the same input again"
    refused(changed, items=ITEMS[1:])
    refused(changed, items=[*ITEMS[:4], Record("other", "mails.jsonl", 5, columns={"id": 4}), *ITEMS[5:]])
    refused(changed, items=ITEMS[:3])
    refused("has no top_k, this one top_k=2; give the same again", settings={"top_k": 2})
    refused(r"has keep=\['id'\], this one keep=\[\]", settings={"keep": []})
    refused(
        "has max_length=256, this one max_length=16", Predictor.from_pretrained(folder, device="cpu", max_length=16)
    )
    refused(
        "has reading='whole', this one reading='tail'", Predictor.from_pretrained(folder, device="cpu", reading="tail")
    )
    other = save_classifier(tmp_path / "other", initializer_range=0.2)
    refused("was made with another model; give the same again, or", Predictor.from_pretrained(other, device="cpu"))
    refused("choose one", overwrite=True)
    form: TableFormat = "csv"
    with pytest.raises(NysformerError, match="has format='jsonl', this one format='csv'"):
        answer_to_file(
            predictor, ITEMS, output, AnswerRows(predictor.task), form, settings={"keep": ["id"]}, resume=True
        )
    copy = shutil.copytree(folder, tmp_path / "copy")
    with_less = Predictor.from_pretrained(copy, device="cpu", tokens_per_batch=128)
    assert answer(with_less, ITEMS, output, resume=True).items == len(ITEMS)


def test_a_finished_file_is_replaced_only_when_told(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    answer(predictor, ITEMS[:3], output)
    before = output.read_bytes()
    for resume in (False, True):
        with pytest.raises(NysformerError, match=r"a\.jsonl: this file exists; name another, or replace it with over"):
            answer(predictor, ITEMS[:2], output, resume=resume)
    stop(predictor, output, overwrite=True)
    assert output.read_bytes() == before
    answer(predictor, ITEMS, output, resume=True)
    assert len(output.read_bytes().splitlines()) == len(ITEMS) - 1
    stop(predictor, output, overwrite=True)
    answer(predictor, ITEMS[:2], output, overwrite=True)
    assert len(output.read_bytes().splitlines()) == 2
    assert names(tmp_path) == ["a.jsonl"]
    output.write_bytes(b"")  # such as `mktemp` makes
    assert answer(predictor, ITEMS[:2], output).items == 2


def test_one_run_at_a_time(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    second: list[str] = []

    def try_again() -> None:
        for options in ({}, {"resume": True}, {"overwrite": True}):
            try:
                answer(predictor, ITEMS, output, **options)
            except NysformerError as error:
                second.append(str(error))

    def meanwhile() -> Iterator[Any]:
        yield from ITEMS[:60]
        thread = threading.Thread(target=try_again)
        thread.start()
        thread.join()
        yield from ITEMS[60:]

    assert answer(predictor, meanwhile(), output).items == len(ITEMS)
    assert len(second) == 3
    for line in second:
        assert line.startswith(f"{output}: another run (pid ")
        assert line.endswith("is writing here; wait for it or name another")
    assert names(tmp_path) == ["a.jsonl"]
    with lock_folder(work_folder(output)):
        assert (work_folder(output) / LOCK).exists()


@pytest.mark.parametrize("room", [0, 3000])
def test_a_full_disk_keeps_what_is_finished(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    class Disk(NamedFile):
        left = room

        def write(self, data: Any) -> int:
            size = memoryview(data).nbytes
            if self.failed:
                return size
            fits = min(size, Disk.left)
            if not fits:
                self.failed = True
                raise write_error(self.title, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            Disk.left -= fits
            return io.FileIO.write(self, memoryview(data)[:fits])

    whole, output = tmp_path / "whole.jsonl", tmp_path / "a.jsonl"
    answer(predictor, ITEMS, whole)
    with monkeypatch.context() as patch:
        patch.setattr(answer_journal, "NamedFile", Disk)
        with pytest.raises(
            NysformerError, match=r"a\.jsonl: cannot be written \(no space left on device\); free"
        ) as full:
            answer(predictor, ITEMS, output)
    assert ("documents are kept: go on with resume=True" in str(full.value)) == (room > 0)
    assert not output.exists()
    if room:
        assert not journal(output).read_bytes().endswith(b"\n")
    began: list[Answers] = []
    answer(predictor, ITEMS, output, resume=True, resumed=began.append)
    assert len(began) == (room > 0)
    assert same(output, whole)
    assert names(tmp_path) == ["a.jsonl", "whole.jsonl"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_while_the_file_is_made_keeps_all(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    output = tmp_path / f"a{suffix}"
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        real = os.replace
        patch.setattr(os, "replace", lambda a, b: full() if Path(b) == output else real(a, b))
        with pytest.raises(NysformerError, match=rf"quota exceeded.*; {len(ITEMS)} documents are kept: go on with"):
            answer(predictor, ITEMS, output)
    assert not output.exists()
    seen: list[Any] = []
    assert answer(predictor, ITEMS, output, resume=True, seen=seen.append).items == len(ITEMS)
    assert seen == []
    assert names(tmp_path) == [output.name]


def test_a_pipe_is_written_as_it_comes(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "pipe"
    os.mkfifo(output)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(output.read_text().splitlines()))
    reader.start()
    assert answer(predictor, ITEMS[:5], output).bad == 1
    reader.join()
    assert [json.loads(line)["line"] for line in found] == [1, 2, 3, 5]
    assert names(tmp_path) == ["pipe"]


def test_long_names_have_folders_of_their_own() -> None:
    folders = [work_folder(Path("x") / ("\u4e00" * 70 + end)).name for end in ("a", "b")]
    assert len(set(folders)) == 2
    assert all(len(name.encode()) < 255 for name in folders)
