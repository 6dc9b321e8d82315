"""What a worker process of a test does; it must be importable there."""

from collections.abc import Sequence

from nysformer.inference.predict import Predictor


def labels_of(predictor: Predictor, texts: Sequence[str]) -> list[str | None]:
    """The labels that a predictor answers."""
    return [answer.label for answer in predictor.predict(texts)]
