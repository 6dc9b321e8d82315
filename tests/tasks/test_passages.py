import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import letter_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from nysformer.data.framing import Encoder
from nysformer.tasks.passages import passage_ranges, passages_of
from nysformer.tasks.reading import sentence_ranges


@given(st.text(alphabet="ab .\n", min_size=1, max_size=200), st.integers(1, 30))
def test_passages_follow_each_other_and_cover_the_document(text: str, size: int) -> None:
    (tokens,) = Encoder(letter_tokenizer(), 64).tokens([text])
    if not tokens.ids:
        return
    for choice in (size, "sentences"):
        ranges = passage_ranges(text, tokens, choice)  # type: ignore[arg-type]
        assert [ranges[0][0], ranges[-1][1]] == [0, len(tokens.ids)]
        assert all(end == start for (_, end), (start, _) in itertools.pairwise(ranges))
        assert all(0 < end - start <= (size if choice == size else 128) for start, end in ranges)
        found = passages_of(text, tokens.offsets, ranges)
        assert all(passage.text == text[passage.start : passage.end].strip() for passage in found)
        assert "".join("".join(passage.text.split()) for passage in found) == "".join(text.split())


def test_passages_end_between_words() -> None:
    text = "abcd efgh ijkl"
    (tokens,) = Encoder(letter_tokenizer(), 64).tokens([text])
    assert len(tokens.ids) == 12
    assert passage_ranges(text, tokens, 6) == [(0, 4), (4, 8), (8, 12)]
    assert passage_ranges(text, tokens, 3) == [(0, 3), (3, 6), (6, 9), (9, 12)]
    assert passage_ranges(text, tokens, 100) == [(0, 12)]


@pytest.mark.parametrize("kind", ["byte-level", "metaspace"])
def test_sentences_where_a_token_counts_the_blank_before_it(kind: str) -> None:
    trainer: Any = trainers.BpeTrainer(special_tokens=["<s>"], show_progress=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False) if kind == "byte-level" else pre_tokenizers.Metaspace()
    )
    text = "One two. Three four. Five"
    tokenizer.train_from_iterator([text] * 3, trainer)
    (tokens,) = Encoder(PreTrainedTokenizerFast(tokenizer_object=tokenizer), 64).tokens([text])
    found = passages_of(text, tokens.offsets, sentence_ranges(text, tokens.offsets))
    assert [passage.text for passage in found] == ["One two.", "Three four.", "Five"]
