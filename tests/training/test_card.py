"""The card of a run says what the run was, and nothing of where its files lay."""

from collections.abc import Callable
from pathlib import Path

from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions


def test_card(options: Callable[..., FinetuneOptions], tmp_path: Path) -> None:
    result = finetune(options(max_steps=2))
    card = (result.output / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    for words in ("60 documents", "24 validation documents", "law (30)", "256 tokens", "made from `encoder"):
        assert words in card
    assert f"{result.metrics['accuracy']:.4g}" in card
    assert str(tmp_path) not in card
    finetune(options(max_steps=2, overwrite=True))
    assert (result.output / "README.md").is_file()
