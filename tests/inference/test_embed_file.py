import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import save_classifier

from nysformer.data.records import Record, RecordError, Waiting
from nysformer.errors import Interrupted, NysformerError
from nysformer.inference import embed_shards
from nysformer.inference.embed import Embedder
from nysformer.inference.embed_file import embed_to_file
from nysformer.inference.embed_shards import Progress
from nysformer.inference.stored_vectors import VectorFile
from nysformer.inference.vector_file import places_beside

RECORDS = [
    Record(f"{'a b c. ' * (number % 7)}d", "mails.jsonl", number + 1, columns={"id": number}) for number in range(40)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder.from_pretrained(folder, device="cpu", tokens_per_batch=16)


@pytest.fixture(scope="module")
def cutter(folder: Path) -> Embedder:
    return Embedder.from_pretrained(folder, device="cpu", passages="sentences", tokens_per_batch=16)


@pytest.fixture(autouse=True)
def every_window_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_shards, "SHARD_SECONDS", 0.0)


def stopped_after(count: int, error: BaseException, records: Sequence[Any] = RECORDS) -> Iterator[Any]:
    yield from itertools.islice(records, count)
    raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_rows_of_documents(embedder: Embedder, tmp_path: Path) -> None:
    items = [*RECORDS[:3], Waiting(), RecordError("mails.jsonl", 4, "bad"), Record("e", "b\udcff.txt")]
    seen: list[Any] = []
    done = embed_to_file(embedder, items, tmp_path / "v.parquet", keep=["id"], seen=seen.append)
    assert (done.items, done.bad, done.vectors) == (5, 1, 4)
    assert len(seen) == 5
    assert names(tmp_path) == ["v.parquet"]
    table = pq.read_table(tmp_path / "v.parquet")
    assert table.column_names == ["source", "line", "id", "vector"]
    assert str(table.schema.field("vector").type).startswith("fixed_size_list<element: float>[32]")
    file = VectorFile(tmp_path / "v.parquet")
    assert (file.count, file.dimension) == (4, 32)
    assert file.place(1) == {"source": "mails.jsonl", "line": 2, "id": "1"}
    assert file.place(3) == {"source": "b\\udcff.txt", "line": None, "id": None}
    expected = embedder.vectors([item.text for item in items if isinstance(item, Record)])
    np.testing.assert_allclose(file.vectors(), expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), file.vectors())


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_rows_of_passages(cutter: Embedder, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nysformer.inference.vector_file.ROW_GROUP", 16)
    output = tmp_path / f"v{suffix}"
    done = embed_to_file(cutter, RECORDS, output, keep=["id"])
    answers = [answer for answer in cutter.embed(RECORDS) if not isinstance(answer, RecordError)]
    file = VectorFile(output)
    assert file.count == done.vectors == sum(len(answer.vectors) for answer in answers) == 155
    np.testing.assert_allclose(
        file.vectors(), np.concatenate([answer.vectors for answer in answers]), rtol=0, atol=1e-5
    )
    row = 0
    for record, answer in zip(RECORDS, answers, strict=True):
        for passage in answer.passages or []:
            place = file.place(row)
            assert (place["source"], place["line"], place["id"]) == (
                record.source,
                record.line,
                str(record.columns["id"]),
            )
            assert place["text"] == passage.text == record.text[place["start"] : place["end"]]
            row += 1
    if suffix == ".npy":
        assert names(tmp_path) == ["v.npy", "v.places.parquet"]
        assert np.load(output).shape == (155, 32)
        np.save(output, np.zeros((3, 32), dtype=np.float32))
        with pytest.raises(NysformerError, match="its vectors are not those of"):
            VectorFile(output)


@pytest.mark.parametrize("count", [7, 11, 39])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), NysformerError("x.jsonl: broken"), RuntimeError("bug")])
def test_a_stopped_run_goes_on_without_losing_or_doubling_rows(
    cutter: Embedder, tmp_path: Path, count: int, error: BaseException
) -> None:
    embed_to_file(cutter, RECORDS, tmp_path / "whole.parquet")
    output = tmp_path / "v.parquet"
    expected = Interrupted if isinstance(error, KeyboardInterrupt) else type(error)
    with pytest.raises(expected) as caught:
        embed_to_file(cutter, stopped_after(count, error), output)
    assert not output.exists()
    assert isinstance(error, RuntimeError) or "documents are kept: go on with resume=True" in str(caught.value)
    with pytest.raises(NysformerError, match="unfinished run lies beside it; go on with resume=True, or start over"):
        embed_to_file(cutter, RECORDS, output)

    began: list[Progress] = []
    seen: list[Any] = []
    embed_to_file(cutter, RECORDS, output, resume=True, resumed=began.append, seen=seen.append)
    assert began[0].items > 0
    assert began[0].items + len(seen) == len(RECORDS)
    assert names(tmp_path) == ["v.parquet", "whole.parquet"]
    whole, again = VectorFile(tmp_path / "whole.parquet"), VectorFile(output)
    np.testing.assert_allclose(again.vectors(), whole.vectors(), rtol=0, atol=1e-5)
    assert [again.place(row) for row in range(again.count)] == [whole.place(row) for row in range(whole.count)]
    assert again.about["id"] == whole.about["id"]


def test_nothing_finished_leaves_nothing(embedder: Embedder, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"v\.parquet: interrupted; nothing was finished: start it again"):
        embed_to_file(embedder, stopped_after(0, KeyboardInterrupt()), tmp_path / "v.parquet")
    assert names(tmp_path) == []


def test_resuming_what_never_began_begins(embedder: Embedder, tmp_path: Path) -> None:
    assert embed_to_file(embedder, RECORDS[:2], tmp_path / "v.parquet", resume=True).items == 2


def stop(embedder: Embedder, output: Path) -> None:
    with pytest.raises(Interrupted):
        embed_to_file(embedder, stopped_after(20, KeyboardInterrupt()), output, keep=["id"])


def test_other_documents_settings_and_models_are_refused(embedder: Embedder, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "v.parquet"
    stop(embedder, output)

    def resume(message: str, model: Embedder = embedder, items: Sequence[Record] = RECORDS, **options: Any) -> None:
        with pytest.raises(NysformerError, match=message):
            embed_to_file(model, items, output, **{"keep": ["id"], "resume": True, **options})

    changed = r"the first \d+ documents are not those of the unfinished run; give the same input again"
    resume(changed, items=RECORDS[1:])
    resume(changed, items=[*RECORDS[:4], Record("other", "mails.jsonl", 5), *RECORDS[5:]])
    resume(changed, items=RECORDS[:3])
    resume(r"has keep=\['id'\], this one keep=\[\]; give", keep=[])
    resume("has passages='none', this one passages=8; give", Embedder.from_pretrained(folder, device="cpu", passages=8))
    resume("choose one", overwrite=True)
    other = save_classifier(tmp_path / "other", initializer_range=0.2)
    resume("made with another model or dtype", Embedder.from_pretrained(other, device="cpu"))
    assert embed_to_file(embedder, RECORDS, output, keep=["id"], resume=True).items == len(RECORDS)


def test_starting_over(embedder: Embedder, tmp_path: Path) -> None:
    output = tmp_path / "v.parquet"
    stop(embedder, output)
    assert embed_to_file(embedder, RECORDS[30:], output, overwrite=True).items == 10
    assert VectorFile(output).count == 10
    assert names(tmp_path) == ["v.parquet"]


def test_damaged_shards_are_made_again(embedder: Embedder, tmp_path: Path) -> None:
    output = tmp_path / "v.parquet"
    stop(embedder, output)
    shards = sorted((tmp_path / ".v.parquet.unfinished").glob("*.parquet"))
    assert len(shards) > 3
    shards[1].write_bytes(shards[1].read_bytes()[:100])
    began: list[Progress] = []
    embed_to_file(embedder, RECORDS, output, keep=["id"], resume=True, resumed=began.append)
    assert began[0].items == pq.read_table(shards[0]).num_rows if shards[0].exists() else began[0].items < 20
    assert VectorFile(output).count == len(RECORDS)


def test_where_vectors_cannot_be_written_or_read(embedder: Embedder, tmp_path: Path) -> None:
    for name, message in {
        "v.csv": "vectors are written as Parquet or .npy",
        "no/v.parquet": "there is no folder",
    }.items():
        with pytest.raises(NysformerError, match=message):
            embed_to_file(embedder, RECORDS, tmp_path / name)
    places_beside(tmp_path / "m.npy").mkdir()
    with pytest.raises(NysformerError, match="a folder"):
        embed_to_file(embedder, RECORDS, tmp_path / "m.npy")
    with pytest.raises(NysformerError, match="two columns would be named 'input_line'"):
        embed_to_file(embedder, RECORDS, tmp_path / "v.parquet", keep=["line", "input_line"])
    assert names(tmp_path) == ["m.places.parquet"]
    with pytest.raises(NysformerError, match="no such file; make it with `nysformer embed`"):
        VectorFile(tmp_path / "v.parquet")
    (tmp_path / "v.parquet").write_bytes(b"PAR1")
    with pytest.raises(NysformerError, match="cannot be read"):
        VectorFile(tmp_path / "v.parquet")
    pq.write_table(pa.table({"vector": [[1.0]]}), tmp_path / "v.parquet")
    with pytest.raises(NysformerError, match="not a file of `nysformer embed`"):
        VectorFile(tmp_path / "v.parquet")


def test_the_file_says_how_it_was_made(cutter: Embedder, tmp_path: Path) -> None:
    embed_to_file(cutter, RECORDS[:2], tmp_path / "v.parquet")
    about = VectorFile(tmp_path / "v.parquet").about
    assert about["settings"] == {
        "pooling": "mean",
        "passages": "sentences",
        "normalize": True,
        "max_length": 256,
        "overlap": 0.25,
        "keep": [],
    }
    assert about["items"] == 2
    assert json.dumps(about)
