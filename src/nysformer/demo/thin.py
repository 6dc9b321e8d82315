"""Fewer versions of the same text, for a training that has only minutes."""

import json
import random
from collections import Counter
from pathlib import Path

from nysformer.files.atomic import write_atomically

__all__ = ["thin_groups"]


def thin_groups(documents: Path, thinned: Path, *, most: int, seed: int) -> int:
    """Write at most `most` documents of each group, drawn at random, in the order in which they stand.

    Args:
        documents: JSON lines with a `group`, the number of a group of near-duplicates.
        thinned: the file to write, whole or not at all.
        most: documents a group keeps.
        seed: of the draw.

    Returns:
        How many documents were written.
    """
    lines = documents.read_text(encoding="utf-8").splitlines()
    groups = [json.loads(line)["group"] for line in lines]
    drawn: Counter[int] = Counter()
    kept = set()
    for place in random.Random(seed).sample(range(len(lines)), len(lines)):
        drawn[groups[place]] += 1
        if drawn[groups[place]] <= most:
            kept.add(place)
    with write_atomically(thinned) as file:
        file.writelines(line + "\n" for place, line in enumerate(lines) if place in kept)
    return len(kept)
