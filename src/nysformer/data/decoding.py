"""Bytes to text: with a named encoding or as UTF-8, and a guess at the right one where that fails."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from nysformer.data.formats import binary_kind
from nysformer.errors import NysformerError

__all__ = ["HEAD", "Decoder", "UnreadableText", "check_encoding", "guess_encoding", "head_of", "not_text"]

HEAD = 4096
"""Bytes at the beginning of a file that its kind is told by."""

_UTF8 = ("utf-8", "utf-8-sig")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A guess is made among encodings that are in use; the rare ones win on short texts and are never right.
_CANDIDATES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1255", "cp1256", "koi8_r"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
]
_SAMPLE = 1 << 16


class UnreadableText(ValueError):
    """Bytes that are no text; the message is the reason, without a place."""


def check_encoding(encoding: str) -> str:
    """The name by which Python knows an encoding of text.

    Raises:
        NysformerError: it is unknown, or no encoding of text.
    """
    try:
        found = codecs.lookup(encoding)
        "".encode(encoding)  # refuses what turns bytes into bytes, such as "hex"
    except (LookupError, TypeError, ValueError) as error:
        raise NysformerError(
            f"encoding: {encoding!r} is unknown; name one such as 'utf-8', 'cp1252' or 'utf-16'"
        ) from error
    return found.name


class Decoder:
    """Decodes the lines or the whole of one file.

    Args:
        encoding: as `check_encoding` names it; None for UTF-8. A byte order mark is left out.

    Attributes:
        is_bytewise: whether a line end is the single byte 10 and that byte is nothing else, so that lines can be
            parted before they are decoded. It is not so in UTF-16, UTF-32 and EBCDIC.
    """

    def __init__(self, encoding: str | None) -> None:
        self.encoding = "utf-8-sig" if encoding is None or encoding in _UTF8 else encoding
        self.is_bytewise = "\n".encode(self.encoding.removesuffix("-sig")) == b"\n"
        self._guess: str | None = None

    @property
    def of_lines(self) -> "Decoder":
        """The decoder of what `lines.read_lines` yields."""
        return self if self.is_bytewise else Decoder(None)

    def decode(self, raw: bytes) -> str:
        """Text of `raw`.

        Raises:
            UnreadableText: with the first byte that is wrong, counted from 1, and the encoding it looks like.
        """
        try:
            return raw.decode(self.encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise UnreadableText(self.reason(raw, error.start)) from error

    def reason(self, raw: bytes, start: int) -> str:
        """Why `raw` cannot be decoded at byte `start`, counted from 0, and the remedy."""
        name = "UTF-8" if self.encoding == "utf-8-sig" else self.encoding
        if self._guess is None:  # once for each file: a guess takes longer than a line
            self._guess = guess_encoding(raw)
        if not self._guess or self._guess == self.encoding:
            return f"not {name} at byte {start + 1}; give its encoding or save it as UTF-8"
        return f"not {name} at byte {start + 1} (looks like {self._guess}); give encoding={self._guess!r}"

    def recoded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same text in UTF-8, piece by piece.

        Raises:
            UnreadableText: as `decode`.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)()
        done = 0
        for chunk in chunks:
            try:
                yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise UnreadableText(
                    f"not {self.encoding} at about byte {done + error.start + 1}; give its own encoding"
                ) from error
            done += len(chunk)
        try:
            yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise UnreadableText(f"not {self.encoding}: it breaks off at byte {done}; give its own encoding") from error


def guess_encoding(raw: bytes) -> str:
    """The encoding that `raw` looks like; empty where nothing fits."""
    from charset_normalizer import from_bytes

    matches = list(from_bytes(raw[:_SAMPLE], cp_isolation=_CANDIDATES))
    if not matches:
        return ""
    ties = [match for match in matches if (match.chaos, match.coherence) == (matches[0].chaos, matches[0].coherence)]
    if any("cp1252" in match.could_be_from_charset for match in ties):  # by far the most frequent
        return "cp1252"
    return matches[0].encoding


def not_text(head: bytes, encoding: str | None) -> str | None:
    """Why a file that begins with `head` cannot be read as text in `encoding`, and the remedy; None if it may be.

    Example:
        >>> not_text(b"GIF89a...", None), not_text("text".encode("utf-16"), None)
        ('a GIF image; extract its text first', "UTF-16 text; give encoding='utf-16'")
    """
    kind = binary_kind(head)
    if kind is not None:
        return kind
    if encoding is not None and encoding not in _UTF8:
        return None
    for mark, name in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return f"{name.upper()} text; give encoding={name!r}"
    place = head.find(b"\0")
    if place < 0:
        return None
    # Without a mark, every other byte of UTF-16 in a western language is zero.
    for first, name in () if len(head) < 4 else ((1, "utf-16-le"), (0, "utf-16-be")):
        if head[first::2].count(0) > 0.4 * len(head) / 2 and head[1 - first :: 2].count(0) == 0:
            return f"zero bytes, as in UTF-16 text; give encoding={name!r}"
    return f"binary data (a zero byte at byte {place + 1}); extract its text first"


def head_of(binary: BinaryIO) -> bytes:
    """The first bytes of an open file, which stay unread; empty where they cannot be put back."""
    if hasattr(binary, "peek"):
        return bytes(binary.peek(HEAD))[:HEAD]
    if binary.seekable():
        head = binary.read(HEAD)
        binary.seek(-len(head), 1)
        return head
    return b""
