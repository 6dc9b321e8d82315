import threading

import pytest
from tiny import letter_tokenizer
from tokenizers.processors import BertProcessing, RobertaProcessing, TemplateProcessing

from nysformer.data.framing import Encoder

PROCESSORS = {
    "BERT": BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "RoBERTa": RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), add_prefix_space=False, trim_offsets=False),
    "suffix only": TemplateProcessing(single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[("[SEP]", 3)]),
    "none": TemplateProcessing(single="$A", pair="$A $B", special_tokens=[]),
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_frames_give_what_the_tokenizer_gives(kind: str) -> None:
    tokenizer = letter_tokenizer()
    tokenizer._tokenizer.post_processor = PROCESSORS[kind]
    encoder = Encoder(tokenizer, 64)
    document, other = encoder.tokens(["x yz"])[0].ids, encoder.tokens(["abc d"])[0].ids
    for frame, texts in (
        (encoder.frame(), ("x yz",)),
        (encoder.frame(other), ("abc d", "x yz")),
        (encoder.frame(other, document_first=True), ("x yz", "abc d")),
    ):
        expected = tokenizer(*texts, return_token_type_ids=True)
        ids, types = frame.around(document)
        assert ids == expected["input_ids"]
        assert types == expected["token_type_ids"]
        assert len(frame) + len(document) == len(ids)


def test_tokens_know_their_characters_and_words() -> None:
    text = "ab  c\r\nd"
    tokens = Encoder(letter_tokenizer(), 64).tokens([text])[0]
    assert [text[start:end] for start, end in tokens.offsets] == ["a", "b", "c", "d"]
    assert tokens.words == [0, 0, 1, 2]
    assert tokens.unknown == 0.0
    assert Encoder(letter_tokenizer(), 64).tokens(["a \u0416"])[0].unknown == 0.5


def test_threads_may_share_an_encoder_of_a_tokenizer_that_truncates() -> None:
    tokenizer = letter_tokenizer()
    tokenizer._tokenizer.enable_truncation(5)
    encoder = Encoder(tokenizer, 64)
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.extend(len(encoder.tokens(["a " * n])[0].ids) for n in range(1, 50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == sorted([*range(1, 50)] * 4)
    assert tokenizer._tokenizer.truncation is not None
