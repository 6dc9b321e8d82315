"""Embed a stream of documents into a file: streamed to disk, whole at the end, and resumed where it was killed.

Finished vectors lie in shards, in a hidden folder beside the file, until it is whole.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from nysformer.data.given import given_records
from nysformer.data.records import Item, RecordError
from nysformer.errors import NysformerError
from nysformer.files.atomic import check_output
from nysformer.inference.embed import Embedder, Embedding
from nysformer.inference.embed_shards import Progress, Shards
from nysformer.inference.unfinished import check_unfinished, digest_of, kept_work, locked_work, noted, read_over
from nysformer.inference.vector_file import check_vector_format, places_beside, vector_schema, write_vectors

__all__ = ["check_unfinished_vectors", "embed_to_file", "probe_of"]

_PROBE = "The quick brown fox jumps over 42 lazy dogs; caf\N{LATIN SMALL LETTER E WITH ACUTE}."


def check_unfinished_vectors(output: str | Path, *, resume: bool, overwrite: bool) -> None:
    """Check, before a model is loaded, that a run may write to `output`.

    Raises:
        NysformerError: a file that cannot be written; as `nysformer.inference.unfinished.check_unfinished`.
    """
    check_vector_format(output)
    place = check_output(output)
    if place.suffix.lower() == ".npy":
        check_output(places_beside(place))
    check_unfinished(output, place, resume=resume, overwrite=overwrite)


def embed_to_file(
    embedder: Embedder,
    documents: Iterable[str | Item],
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    seen: Callable[[Embedding | RecordError], None] | None = None,
    resumed: Callable[[Progress], None] | None = None,
) -> Progress:
    """Embed documents as they come, and write vectors and places to one file, which appears whole or not at all.

    A run that is stopped, even killed, keeps what it finished: every 20 seconds or 64 MiB go to a hidden folder beside
    the file. A run that goes on must be given the same documents again; it reads over those that are answered.

    Args:
        embedder: see `Embedder`. A run may go on with other `tokens_per_batch`, and on another device.
        documents: texts, or the items of a reader.
        output: ends in .parquet, or in .npy, whose places go to a Parquet file beside it.
        keep: names of `Record.columns` to carry through, as text.
        resume: go on with an unfinished run, if there is one.
        overwrite: discard an unfinished run, and replace the file, if there is one.
        seen: is told each answer, in the order of the documents.
        resumed: is told how far the unfinished run had come.

    Returns:
        How far the run came, over all its parts.

    Raises:
        NysformerError: as `check_unfinished_vectors` and `Embedder.embed`; an unfinished run of other settings, another
            model or other documents; another process is writing the file.
        Interrupted: in place of a `KeyboardInterrupt`, with how to go on.
    """
    check_unfinished_vectors(output, resume=resume, overwrite=overwrite)
    place = check_output(output)
    job = {
        "settings": {
            "pooling": embedder.pooling,
            "passages": embedder.passages,
            "normalize": embedder.normalize,
            "max_length": embedder.max_length,
            "overlap": embedder.reading.overlap,
            "keep": list(keep),
        },
        "dimension": embedder.dimension,
        "probe": probe_of(embedder),
    }
    schema = vector_schema(embedder.dimension, keep, passages=embedder.passages != "none")
    with locked_work(output, place, resume=resume, overwrite=overwrite) as folder:
        shards = Shards(folder, keep, schema, overwrite=overwrite)
        shards.begin(job, output)
        with kept_work(output, partial(_keep, shards)):
            records = given_records(documents)
            read_over(output, records, shards.done.items, shards.done.digest)
            if resumed is not None and shards.done.items:
                resumed(shards.done)
            _embed_all(embedder, records, shards, seen)
            done = shards.done
            about = {**job, **asdict(done), "id": digest_of(json.dumps([job, asdict(done)]))}
            write_vectors(Path(output), shards.tables(), schema, done.vectors, about)
        shards.remove()
    return done


def probe_of(embedder: Embedder) -> list[float]:
    """A vector by which a model is known again, from another folder and in another precision."""
    return [round(value, 6) for value in embedder.vectors([_PROBE])[0].tolist()]


def _embed_all(
    embedder: Embedder,
    records: Iterator[Item],
    shards: Shards,
    seen: Callable[[Embedding | RecordError], None] | None,
) -> None:
    digests: deque[str] = deque()
    for answer in embedder.embed(noted(records, digests)):
        shards.add(answer, digests.popleft())
        if not digests:  # the end of what was embedded together
            shards.flush_if_due()
        if seen is not None:
            seen(answer)
    shards.flush()


def _keep(shards: Shards) -> int:
    with suppress(NysformerError):  # such as a full disk
        shards.flush()
    if not shards.stored.items:
        shards.remove()
    return shards.stored.items
