import numpy as np
import pytest

from benchmarks.retrieval import Collection, links_of, make_collection

WORDS = " ".join(f"word{number}" for number in range(200))
TEXTS = {
    "a/one.rst": f"before one :doc:`two` after one {WORDS}",
    "a/two.rst": f"Title two {WORDS} see Documentation/b/three.rst again Documentation/b/three.rst",
    "b/three.rst": f"Title three {WORDS}",
    "b/index.rst": f"see :doc:`three` {WORDS}",
    "b/short.rst": "see :doc:`/a/one` now",
}


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        (":doc:`two`", ["a/two.rst"]),
        (":doc:`the text <two>` and :doc:`../b/three`", ["a/two.rst", "b/three.rst"]),
        (":doc:`/b/three.rst`, Documentation/b/index.rst.", ["b/three.rst", "b/index.rst"]),
        (":doc:`../../../b/three`", ["../../b/three.rst"]),
        ("Documentation/devicetree/x.yaml", []),
    ],
)
def test_links(text: str, targets: list[str]) -> None:
    assert [target for _, _, target in links_of("a/one.rst", text)] == targets
    for start, end, _ in links_of("a/one.rst", text):
        assert text[start:end].startswith((":doc:`", "Documentation/"))


def test_a_collection_has_linked_documents_and_a_query_per_link() -> None:
    found = make_collection(TEXTS, 10_000)
    assert len(found.texts) == 3
    assert not any("Documentation/" in text or ":doc:" in text for text in [*found.texts, *found.queries])
    titles = [found.texts[row.nonzero()[0].item()].split()[1] for row in found.relevant]
    assert titles == ["two", "three", "three", "one"]  # links from a/one, a/two, b/index, b/short
    assert found.queries[0].startswith("before one after one word0")
    assert found.queries[3] == "see now"
    owns = [None if own is None else found.texts[own].split()[1] for own in found.of]
    assert owns == ["one", "two", None, None]


def test_a_collection_is_no_larger_than_asked_for() -> None:
    assert len(make_collection(TEXTS, 300).texts) == 1


def test_ndcg_leaves_out_the_document_of_the_query() -> None:
    collection = Collection(["x", "y", "z"], ["q", "r"], [0, None], [[False, True, False], [False, False, True]])
    assert collection.ndcg(np.array([[9.0, 2.0, 1.0], [1.0, 2.0, 3.0]])) == 1
    second = 1 / np.log2(3)
    assert collection.ndcg(np.array([[9.0, 1.0, 2.0], [1.0, 3.0, 2.0]])) == pytest.approx(second)
