"""The readable text of HTML."""

import re
import warnings
from collections.abc import Iterable

from nysformer.data.decoding import Decoder, UnreadableText, guess_encoding

__all__ = ["html_text"]

_HIDDEN = frozenset({"script", "style", "template", "noscript", "iframe", "head"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "br", "caption", "dd", "details", "dialog", "div", "dl"),
        *("dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header"),
        *("hr", "html", "legend", "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary", "table"),
        *("tbody", "td", "tfoot", "th", "thead", "title", "tr", "ul"),
    }
)


def html_text(raw: bytes, encoding: str | None = None) -> str:
    r"""The title and the text of a page, one line per block, without scripts, styles and comments.

    Args:
        raw: the page.
        encoding: of its bytes; None for UTF-8 where they are that, else what the page says, else what they look like.

    Raises:
        UnreadableText: bytes that are not in the encoding; elements nested too deep.

    Example:
        >>> html_text(b"<title>One</title><p>A <b>bo</b>ld word.<p>Next.<script>x()</script>")
        'One\nA bold word.\nNext.'
    """
    from bs4 import BeautifulSoup
    from bs4.dammit import EncodingDetector
    from bs4.element import CData, NavigableString, PageElement, Tag

    decoder = Decoder(encoding)
    try:
        page = decoder.decode(raw)
    except UnreadableText:
        declared = EncodingDetector.find_declared_encoding(raw, is_html=True) if encoding is None else None
        page = _decoded(raw, [declared, guess_encoding(raw)] if encoding is None else [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of text that looks like a file name, and of XHTML: both are read
        try:
            soup = BeautifulSoup(page, "html.parser")
        except RecursionError:
            raise UnreadableText("HTML nested too deep; extract its text first") from None
    pieces: list[str] = []
    if soup.title is not None:
        pieces.append(f"{soup.title.get_text()}\n")
    # An explicit stack, because pages may be nested deeper than Python calls. None stands for the end of a block.
    stack: list[PageElement | None] = [soup]
    while stack:
        node = stack.pop()
        if node is None:
            pieces.append("\n")
        elif isinstance(node, Tag):
            if node.name in _HIDDEN or (node is soup.title):
                continue
            if node.name in _BLOCKS:
                pieces.append("\n")
                stack.append(None)
            stack.extend(reversed(node.contents))
        elif type(node) in (NavigableString, CData):
            pieces.append(re.sub(r"\s+", " ", str(node)))
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _decoded(raw: bytes, encodings: Iterable[str | None]) -> str:
    for encoding in encodings:
        try:
            return raw.decode(encoding or "utf-8")
        except (LookupError, UnicodeDecodeError):
            continue
    return Decoder(None).decode(raw)
