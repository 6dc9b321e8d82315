"""From another encoder's checkpoint to a model folder, checked against its source before anything is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from nysformer import __version__
from nysformer.checkpoints.card import write_card
from nysformer.checkpoints.convert.conversion import Conversion
from nysformer.checkpoints.convert.source import convert_source
from nysformer.checkpoints.convert.verify import Difference, verify
from nysformer.checkpoints.load import read_tokenizer
from nysformer.checkpoints.options import ConversionOptions, LandmarkKind
from nysformer.errors import NysformerError
from nysformer.files.folders import check_new_folder, new_folder

__all__ = ["SAMPLE", "Converted", "convert", "quiet"]

SAMPLE = (
    "The harbour office opens at seven. Ships that carry grain report their weight, the port they left and the day "
    "they mean to sail again; whoever brings animals shows a letter from a veterinary surgeon, not older than ten "
    "days. A pilot is compulsory above 1,500 tonnes, and costs £240 by day or £310 by night. In case of dispute, the "
    "harbour master decides, and may be appealed against within a fortnight at the county court. "
)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What a conversion came to.

    Attributes:
        output: the model folder.
        kind: what the source is.
        architecture: the class of the result.
        max_position_embeddings: tokens a document may have.
        num_landmarks: a head.
        landmarks: how they are found.
        exact_length: tokens up to which attention is softmax; approximation begins after them.
        dropped: parts of the source that are not in the result.
        differences: source and result beside each other, by length.
    """

    output: Path
    kind: str
    architecture: str
    max_position_embeddings: int
    num_landmarks: int
    landmarks: LandmarkKind
    exact_length: int
    dropped: tuple[str, ...]
    differences: tuple[Difference, ...]


def convert(
    source: str | Path,
    output: str | Path,
    options: ConversionOptions | None = None,
    *,
    tokenizer: str | Path | None = None,
) -> Converted:
    """Convert a checkpoint, run source and result on a sample text, and write a model folder with its tokenizer.

    Reads BERT, RoBERTa, XLM-RoBERTa, DistilBERT and ELECTRA encoders, with their masked-LM head where they have one;
    Nyströmformers, whose landmarks it turns on; and checkpoint files of the Nyströmformer authors' training code.

    Args:
        source: a model folder, a name on the hub, or a checkpoint file.
        output: a folder that does not exist yet. It appears whole or not at all.
        options: see there.
        tokenizer: a folder or a name on the hub; None for the source's own.

    Raises:
        NysformerError: as `convert_source`; a tokenizer that is missing or does not fit; a result that has not its
            source's numbers; an output that exists.
    """
    output = check_new_folder(output)
    options = options or ConversionOptions()
    with quiet():
        conversion = convert_source(source, options)
        words = _tokenizer(Path(source), tokenizer)
        vocabulary = conversion.model.config.vocab_size
        if len(words) > vocabulary:
            raise NysformerError(
                f"{tokenizer or source}: the tokenizer has {len(words)} tokens and the model only {vocabulary}; give "
                "the model's own"
            )
        found = verify(conversion, torch.tensor(words(SAMPLE, verbose=False)["input_ids"]))
        config = conversion.model.config
        words.model_max_length = config.max_position_embeddings
        with new_folder(output) as folder:
            conversion.model.save_pretrained(folder)
            words.save_pretrained(folder)
            _card(folder, conversion, str(source), found)
    return Converted(
        output=output,
        kind=conversion.kind,
        architecture=type(conversion.model).__name__,
        max_position_embeddings=config.max_position_embeddings,
        num_landmarks=config.num_landmarks,
        landmarks=config.landmarks,
        exact_length=conversion.exact_length,
        dropped=conversion.dropped,
        differences=tuple(found),
    )


def _tokenizer(source: Path, given: str | Path | None) -> PreTrainedTokenizerBase:
    if given is None and source.is_file():
        raise NysformerError(
            f"{source}: a checkpoint file has no tokenizer; give tokenizer=NAME, a folder or a hub name"
        )
    name = source if given is None else Path(given)
    return read_tokenizer(name)


def _card(folder: Path, conversion: Conversion, source: str, found: list[Difference]) -> None:
    dropped = f"Not taken over: {', '.join(conversion.dropped)}." if conversion.dropped else "Nothing was left out."
    write_card(
        folder,
        conversion.model.config,
        architecture=type(conversion.model).__name__,
        base_model=source,
        training=[
            f"None of its own: the weights of the source ({conversion.kind}), renamed by nysformer {__version__}. What "
            "it was trained on, its card says.",
            dropped,
        ],
        metrics=[
            (
                f"largest difference to the source, {each.tokens} tokens{'' if each.exact else ' (approximated)'}",
                each.largest,
            )
            for each in found
        ],
        limits=["Not fine-tuned on documents longer than the source could read: do so before relying on them."],
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars, reports on keys and warnings: what is wrong becomes one error."""
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
