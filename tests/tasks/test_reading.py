from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nysformer.data.framing import Frame
from nysformer.errors import NysformerError
from nysformer.tasks.pieces import cut
from nysformer.tasks.reading import STRATEGIES, Reading


def pieces_of(
    text: str, spans: list[tuple[int, int]], room: int, strategy: Any, overlap: float = 0.25
) -> list[list[tuple[int, int]]]:
    tokens: Any = SimpleNamespace(ids=list(range(len(spans))), offsets=spans)
    reading = Reading(strategy=strategy, overlap=overlap)
    return [piece.ranges for piece in cut(text, tokens, Frame([], [], [], 0, []), reading, room)]


def offsets(count: int) -> list[tuple[int, int]]:
    return [(2 * i, 2 * i + 1) for i in range(count)]


@given(
    count=st.integers(1, 400),
    room=st.integers(1, 90),
    strategy=st.sampled_from(STRATEGIES),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.99]),
    stops=st.sets(st.integers(0, 399)),
)
def test_pieces_are_ordered_disjoint_and_fit(
    count: int, room: int, strategy: str, overlap: float, stops: set[int]
) -> None:
    text = " ".join("." if i in stops else "abc"[i % 3] for i in range(count))
    pieces = pieces_of(text, offsets(count), room, strategy, overlap)
    assert pieces
    for piece in pieces:
        assert sum(end - start for start, end in piece) <= room
        bounds = [bound for pair in piece for bound in pair]
        assert bounds == sorted(bounds)
        assert all(0 <= start < end <= count for start, end in piece)
    read = {token for piece in pieces for start, end in piece for token in range(start, end)}
    if count <= room:
        assert pieces == [[(0, count)]]
    if strategy == "windows":
        assert read == set(range(count))
        assert pieces[-1][-1][1] == count
    else:
        assert len(pieces) == 1


def test_key_sentences_prefers_what_the_document_is_about() -> None:
    sentences = ["grain ships carry grain.", "the weather was nice.", "ships with grain pay.", "a cat slept."]
    text = " ".join(sentences)
    spans, place = [], 0
    for word in text.split(" "):
        spans.append((place, place + len(word)))
        place += len(word) + 1
    (piece,) = pieces_of(text, spans, 8, "key-sentences")
    read = " ".join(text[spans[start][0] : spans[end - 1][1]] for start, end in piece)
    assert "grain ships carry grain." in read
    assert "ships with grain pay." in read


def test_text_without_words_or_sentence_ends_is_still_read() -> None:
    (piece,) = pieces_of("! " * 300, offsets(300), 20, "key-sentences")
    assert piece


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"strategy": "some"}, "whole"), ({"window": 0}, "window"), ({"overlap": 1.0}, "overlap")],
)
def test_impossible_settings_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(NysformerError, match=word):
        Reading(**settings)  # type: ignore[arg-type]
