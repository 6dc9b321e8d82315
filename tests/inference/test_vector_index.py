import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import save_classifier

from nysformer.errors import NysformerError
from nysformer.inference.embed import Embedder
from nysformer.inference.embed_file import embed_to_file
from nysformer.inference.stored_vectors import VectorFile
from nysformer.inference.vector_index import ExactIndex, GraphIndex, VectorIndex, build_index, open_index

TEXTS = [f"{'a b c. ' * (number % 7)}d {'e f! ' * (number % 5)}" for number in range(40)]


@pytest.fixture(scope="module", params=["v.parquet", "v.npy"])
def vectors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    model = save_classifier(folder / "model")
    embedder = Embedder.from_pretrained(model, device="cpu", passages="sentences", normalize=False)
    embed_to_file(embedder, TEXTS, folder / request.param)
    return folder / str(request.param)


def expected(vectors: Path, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and cosines in order, by the definition and in float64."""
    matrix = VectorFile(vectors).vectors().astype(np.float64)
    cosines = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    rows = np.argsort(-cosines, kind="stable")
    return rows, cosines[rows]


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_exact_is_the_definition(vectors: Path, count: int) -> None:
    index = open_index(vectors)
    assert isinstance(index, ExactIndex)
    for seed in range(5):
        query = np.random.default_rng(seed).standard_normal(index.dimension).astype(np.float32)
        rows, scores = index.nearest(query, count)
        _, truth = expected(vectors, query)
        assert len(rows) == len(scores) == min(count, index.count)
        np.testing.assert_allclose(scores, truth[:count], atol=1e-6)
        matrix = index.vectors()[rows]
        np.testing.assert_allclose(
            matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query), scores, atol=1e-6
        )


def test_equal_vectors_come_in_their_order(vectors: Path) -> None:
    index = ExactIndex(vectors)
    query = index.vectors()[0]
    rows, scores = index.nearest(query, 5)
    ties = rows[np.isclose(scores, scores[0], atol=0)]
    assert ties.tolist() == sorted(ties.tolist())


def test_a_graph_finds_the_same(vectors: Path, tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra [search]")
    told: list[tuple[int, int]] = []
    count = build_index(vectors, tmp_path / "index", on_progress=lambda done, total: told.append((done, total)))
    exact, graph = open_index(vectors), open_index(tmp_path / "index")
    assert isinstance(graph, GraphIndex)
    assert told[-1] == (count, count) == (exact.count, graph.count)
    assert (graph.about, graph.columns, graph.dimension) == (exact.about, exact.columns, exact.dimension)
    assert [graph.place(row) for row in range(count)] == [exact.place(row) for row in range(count)]
    for seed in range(5):
        query = np.random.default_rng(seed).standard_normal(graph.dimension).astype(np.float32)
        (_, truth), (_, scores) = exact.nearest(query, 10), graph.nearest(query, 10)
        np.testing.assert_allclose(scores, truth, atol=2e-3)  # float16
        _, all_of_them = graph.nearest(query, 10 * count)
        assert len(all_of_them) <= count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index"]


def test_a_folder_that_exists_stays(vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "mine").write_text("", encoding="utf-8")
    with pytest.raises(NysformerError, match="something stands there already"):
        build_index(vectors, tmp_path / "index")
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["mine"]


def test_a_build_that_fails_leaves_nothing(vectors: Path, tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra [search]")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(vectors, tmp_path / "index", on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_damaged_folders_are_one_line(vectors: Path, tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs the extra [search]")
    with pytest.raises(NysformerError, match="not a folder of `nysformer index`"):
        open_index(tmp_path)
    build_index(vectors, tmp_path / "index")
    graph = tmp_path / "index" / "index.usearch"
    whole = graph.read_bytes()
    for part in (b"", whole[:40], whole[: len(whole) // 2]):
        graph.write_bytes(part)
        with pytest.raises(NysformerError, match=r"index\.usearch: "):
            open_index(tmp_path / "index")


def test_a_missing_library_is_named(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(NysformerError, match=r"needs usearch; pip install 'nysformer\[search\]'"):
        build_index(vectors, tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_both_kinds_are_indexes(vectors: Path) -> None:
    index: VectorIndex = open_index(vectors)
    assert index.path == vectors
