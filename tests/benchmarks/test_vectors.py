from pathlib import Path

import numpy as np
import pytest

from benchmarks import vectors
from benchmarks.vector_libraries import LIBRARIES
from benchmarks.vectors import drawn_vectors, exact_nearest, measure_vectors


def test_drawn_vectors_have_length_one_and_clusters() -> None:
    drawn = drawn_vectors(500, 16)
    assert drawn.shape == (500, 16)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(drawn, drawn_vectors(500, 16))
    cosines = drawn @ drawn.T
    assert np.sort(cosines, axis=1)[:, -2].mean() > np.abs(cosines).mean() + 0.3


def test_exact_is_in_order() -> None:
    stored = np.eye(4, dtype=np.float32)
    query = np.array([[0.1, 0.4, 0.2, 0.3]], dtype=np.float32)
    assert exact_nearest(stored, query, 3).tolist() == [[1, 3, 2]]


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_finds_the_nearest_after_saving_and_loading(name: str, tmp_path: Path) -> None:
    package = LIBRARIES[name].package  # type: ignore[attr-defined]
    pytest.importorskip({"faiss-cpu": "faiss"}.get(package, package), reason="one of the libraries that are compared")
    if "IVF" in name:
        pytest.skip("its lists need more vectors than a test has")
    drawn = drawn_vectors(600, 32)
    library, again = LIBRARIES[name](), LIBRARIES[name]()
    library.build(drawn[100:])
    library.save(tmp_path / "index")
    again.load(tmp_path / "index", 32)
    found = [list(map(int, again.search(query, 10, library.settings[-1]))) for query in drawn[:100]]
    truth = exact_nearest(drawn[100:], drawn[:100], 10)
    recall = np.mean([len(set(one) & set(row)) / 10 for one, row in zip(found, truth.tolist(), strict=True)])
    assert recall > (0.9 if "int8" in name else 0.99)


def test_a_record_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "LIBRARIES", {"numpy": LIBRARIES["numpy"]})
    monkeypatch.setattr(vectors, "_QUERIES", 20)
    record = measure_vectors(300, 16, rounds=2)
    (row,) = record.rows
    assert (row["library"], row["recall_at_10"]) == ("numpy", 1)
    assert row["query_ms"] > 0
    assert record.notes["packages"]["numpy"]["version"] == np.__version__
