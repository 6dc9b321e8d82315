"""Windows hold every word; a vote averages them."""

from benchmarks.folds.tfidf import TFIDF, word_windows


def test_every_word_is_in_a_window_of_the_whole_size() -> None:
    for words in range(1, 12):
        text = [str(number) for number in range(words)]
        windows = [window.split() for window in word_windows(" ".join(text), 4)]
        assert sorted({word for window in windows for word in window}, key=int) == text
        assert {len(window) for window in windows} == {min(4, words)}
        assert len(windows) == max(1, -(-words // 4))


def test_all_readings_tell_two_labels_apart() -> None:
    texts = ["red fox " * 400, "blue whale " * 400, "red fox", "blue whale"]
    labels = ["fox", "whale", "fox", "whale"]
    names = ["absent", "fox", "whale"]
    for name, fit in TFIDF.items():
        scores = fit(texts, labels, names)(["the red one " * 500, "blue"])
        assert scores.shape == (2, 3)
        assert scores.argmax(dim=-1).tolist() == [1, 2], name


def test_the_vote_hears_the_end_of_a_text_and_the_first_words_do_not() -> None:
    texts, labels = ["red fox " * 200, "blue whale " * 200], ["fox", "whale"]
    asked = ["red fox " * 175 + "blue whale " * 1000]
    answers = [fit(texts, labels, ["fox", "whale"])(asked).argmax().item() for fit in TFIDF.values()]
    assert answers == [0, 1, 1]
