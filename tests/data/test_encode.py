import pytest
from tiny import letter_tokenizer

from nysformer.data.encode import check_max_length, encode
from nysformer.errors import NysformerError


def test_true_lengths_and_a_cut_that_keeps_the_special_tokens(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = letter_tokenizer()
    tokenizer.model_max_length = 5
    short, exact, long, nothing = encode(["a", "a b c", "a b c d", "\u200b"], tokenizer, 5)
    assert short is not None
    assert (short.input_ids, short.length, short.truncated) == ([2, 4, 3], 3, False)
    assert exact is not None
    assert (exact.input_ids, exact.truncated) == ([2, 4, 5, 6, 3], False)
    assert long is not None
    assert (long.input_ids, long.length, long.truncated) == ([2, 4, 5, 6, 3], 6, True)
    assert nothing is None
    assert encode([], tokenizer, 5) == []
    assert caplog.text == ""


def test_no_room_beside_the_special_tokens() -> None:
    assert check_max_length(letter_tokenizer(), 3) == 2
    with pytest.raises(NysformerError, match="no room beside 2 special ones"):
        encode(["a"], letter_tokenizer(), 2)
