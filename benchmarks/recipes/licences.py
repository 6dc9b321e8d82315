"""The licence corpus of the demo, its split unchanged, under the recipes' file names and with their README."""

from importlib import metadata
from pathlib import Path

from benchmarks.recipes.corpus import SPLITS, Rows, read_rows
from nysformer.data.licences import build_licence_corpus

__all__ = ["make_licences"]


def make_licences(cache: Path, seed: int) -> Rows:
    """Rows of `id`, `label` (the category), `group` and `text`."""
    corpus = build_licence_corpus(cache / f"licences-{seed}", seed)
    notes = [
        "whole licence texts of 200 words or more with the category that ScanCode's experts gave the licence",
        f"{corpus.groups:,} groups of near-duplicates and of one licence, each on one side",
        f"licensedcode-data {metadata.version('licensedcode-data')}",
    ]
    return Rows({split: read_rows(corpus.directory / f"{split}.jsonl") for split in SPLITS}, notes)
