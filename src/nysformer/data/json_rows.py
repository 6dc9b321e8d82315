"""Rows of JSON Lines, of one JSON array of objects, or of JSON objects written over several lines."""

import json
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO

from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.lines import read_lines
from nysformer.data.records import RecordError, Row, RowItem, Waiting
from nysformer.data.squad import inner_rows

__all__ = ["read_json"]


def read_json(
    binary: BinaryIO, source: str, encoding: str | None = None, documents: Collection[str] = ()
) -> Iterator[RowItem]:
    """Rows of JSON Lines; a JSON array, or an object that goes on after the first line, is read whole.

    An object that holds rows (see `squad.inner_rows`) stands for these; their line is their number, from 1.

    Args:
        binary: the open file, which stays open.
        source: its name.
        encoding: None for UTF-8.
        documents: names of columns that hold documents.

    Raises:
        UnreadableText: binary data, or another encoding whose lines cannot be told.
    """
    number = 0
    for item in _read(binary, source, encoding):
        inner = inner_rows(item.values, documents) if isinstance(item, Row) else None
        if inner is None:
            yield item
            continue
        for each in inner:
            number += 1
            yield RecordError(source, number, each) if isinstance(each, str) else _row(each, source, number)


def _read(binary: BinaryIO, source: str, encoding: str | None) -> Iterator[RowItem]:
    decoder = Decoder(encoding)
    lines = read_lines(binary, decoder)
    decoder = decoder.of_lines
    first = True
    for item in lines:
        if isinstance(item, Waiting):
            yield item
            continue
        number, raw = item
        start = raw.removeprefix(b"\xef\xbb\xbf") if first else b""
        if first and not start:  # a byte order mark alone
            continue
        first = False
        second: tuple[int, bytes] | None = None
        if start.startswith(b"{") and not start.endswith(b"}") and _breaks_off(raw, decoder):
            for other in lines:
                if isinstance(other, Waiting):
                    yield other
                    continue
                second = other
                break
        goes_on = second is not None and (start.endswith((b"{", b"[")) or not second[1].startswith(b"{"))
        if start.startswith(b"[") or goes_on:
            pieces = [raw]
            at = number
            for other in lines if second is None else chain([second], lines):
                if isinstance(other, Waiting):
                    yield other
                    continue
                pieces.append(b"\n" * (other[0] - at) + other[1])  # blank lines count
                at = other[0]
            read = _array if start.startswith(b"[") else _objects
            yield from read(b"".join(pieces), source, number, decoder)
            continue
        yield _line(raw, source, number, decoder)
        if second is not None:
            yield _line(second[1], source, second[0], decoder)


def _breaks_off(raw: bytes, decoder: Decoder) -> bool:
    """Whether a line is the beginning of an object that is not whole."""
    try:
        text = decoder.decode(raw)
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (UnreadableText, RecursionError):
        return False
    return False


class _Repeated(dict[str, Any]):
    """An object in which a key stands twice."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = _Repeated(found)
    seen: set[str] = set()
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


def _line(raw: bytes, source: str, line: int, decoder: Decoder) -> Row | RecordError:
    try:
        return _row(json.loads(decoder.decode(raw), object_pairs_hook=_object), source, line)
    except UnreadableText as error:
        return RecordError(source, line, str(error))
    except (ValueError, RecursionError) as error:
        return RecordError(source, line, f"invalid JSON: {_reason(error)}")


def _array(raw: bytes, source: str, line: int, decoder: Decoder) -> Iterator[Row | RecordError]:
    try:
        records = json.loads(decoder.decode(raw), object_pairs_hook=_object)
    except UnreadableText as error:
        yield RecordError(source, None, str(error))
    except (ValueError, RecursionError) as error:
        yield RecordError(source, None, f"invalid JSON array: {_reason(error)}")
    else:
        for number, record in enumerate(records, start=1):
            yield _row(record, source, number)


def _objects(raw: bytes, source: str, line: int, decoder: Decoder) -> Iterator[Row | RecordError]:
    """Objects one after the other, as `jq` writes them."""
    read = json.JSONDecoder(object_pairs_hook=_object).raw_decode
    try:
        text = decoder.decode(raw)
    except UnreadableText as error:
        yield RecordError(source, None, str(error))
        return
    place = 0
    while place < len(text):
        try:
            record, end = read(text, place)
        except (ValueError, RecursionError) as error:
            yield RecordError(
                source, line, f"invalid JSON over several lines, nothing read from here on: {_reason(error)}"
            )
            return
        yield _row(record, source, line)
        while end < len(text) and text[end].isspace():
            end += 1
        line += text.count("\n", place, end)
        place = end


def _row(record: object, source: str, line: int) -> Row | RecordError:
    if isinstance(record, _Repeated):
        return RecordError(source, line, f"the key {record.key!r} stands twice in the object; keep one of the two")
    if isinstance(record, Mapping):
        return Row(record, line)
    return RecordError(source, line, f"a JSON {type(record).__name__} where an object should stand")


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
