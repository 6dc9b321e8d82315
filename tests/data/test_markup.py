"""HTML keeps its words and its blocks."""

import pytest

from nysformer.data.markup import html_text

PAGE = """<!DOCTYPE html><html><head><title>The title</title><style>p {}</style><meta name="x" content="y"></head>
<body><h1>One</h1><p>A <b>bo</b>ld   word &amp; more<br>next<!-- not this --></p><script>nor(this)</script>
<template>nor this</template><table><tr><td>1</td><td>2</td></tr></table></body></html>"""


def test_blocks_are_lines_and_scripts_are_not_text() -> None:
    assert html_text(PAGE.encode()) == "The title\nOne\nA bold word & more\nnext\n1\n2"


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        ("<p>café".encode(), None),
        (b"<meta charset=iso-8859-1><p>caf\xe9", None),
        (b"<p>caf\xe9", None),
        (b"<p>caf\xe9", "cp1252"),
        (b"<?xml version='1.0' encoding='latin-1'?><html><body>caf\xe9</body></html>", None),
        (b"<meta charset=no-such-thing><p>caf\xe9", None),
    ],
)
def test_encodings(raw: bytes, encoding: str | None) -> None:
    assert html_text(raw, encoding) == "café"


def test_text_without_markup_and_pages_without_text() -> None:
    assert html_text(b"https://example.com/a.html") == "https://example.com/a.html"
    assert html_text(b"<script>x</script>") == ""
