"""The encoder that recipes and folds train: the packaged MiniLM, converted once and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["encoder_folder", "minilm"]


def encoder_folder(runs_dir: Path, positions: int, **conversion: Any) -> Path:
    """Where the converted MiniLM of so many positions lies.

    Example:
        >>> encoder_folder(Path("runs"), 4096, num_landmarks=32).name
        'minilm-4096-num_landmarks-32'
    """
    parts = [str(part) for name, value in sorted(conversion.items()) for part in (name, value)]
    return runs_dir / "-".join(["minilm", str(positions), *parts])


def minilm(runs_dir: Path, positions: int, **conversion: Any) -> Path:
    """Convert the packaged MiniLM, or leave what stands there if it is the same.

    Args:
        runs_dir: takes the folder; made if absent.
        positions: tokens that the encoder reads at most.
        conversion: further arguments of `nysformer.demo.encoder.convert_minilm`.

    Raises:
        NysformerError: the folder cannot be written.
    """
    from nysformer.demo.encoder import convert_minilm

    runs_dir.mkdir(parents=True, exist_ok=True)
    folder = encoder_folder(runs_dir, positions, **conversion)
    return convert_minilm(folder, max_position_embeddings=positions, **conversion)
