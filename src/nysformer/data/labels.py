"""One spelling for each label, whatever the format it comes from."""

import math
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

from nysformer.data.decoding import Decoder, UnreadableText
from nysformer.data.values import UnusableValue
from nysformer.errors import NysformerError

__all__ = ["UnusableLabel", "check_case", "normal_label"]

_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_BOOLEANS = {"true", "false"}
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"


class UnusableLabel(UnusableValue):
    """A value that is no label; the message is the reason, without a place, and says that the label is meant."""


def normal_label(value: object) -> str:
    """The name of a label, in the one spelling that counts.

    Blanks at the ends are left out and those between words become one space; Unicode is composed (NFC); true and false,
    of any type and in any case, are "true" and "false"; whole numbers, of any type, are written without ".0".

    Raises:
        UnusableLabel: no label (null, NaN, blank), or a value of another type.

    Example:
        >>> [normal_label(value) for value in ("ham ", True, "FALSE", 1.0, "1.0", 1)]
        ['ham', 'true', 'false', '1', '1', '1']
    """
    if isinstance(value, bytes):
        try:
            value = Decoder(None).decode(value)
        except UnreadableText as error:
            raise UnusableLabel(f"the label is {error}") from error
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, Decimal)):
        if math.isnan(value):
            raise UnusableLabel("the document has no label (NaN)")
        if not math.isfinite(value) or value != int(value):
            raise UnusableLabel(f"a label of type {type(value).__name__} ({value!r}); labels are text or whole numbers")
        return str(int(value))
    if value is None:
        raise UnusableLabel("the document has no label")
    if not isinstance(value, str):
        raise UnusableLabel(
            f"a label of type {type(value).__name__} ({_short(repr(value))}); labels are text or whole numbers"
        )
    name = unicodedata.normalize("NFC", " ".join(value.strip(_INVISIBLE).split()).strip(_INVISIBLE))
    if not name:
        raise UnusableLabel("the document has no label")
    lower = name.lower()
    if lower == "nan":
        raise UnusableLabel(f"the document has no label ({name})")
    if lower in _BOOLEANS:
        return lower
    whole = _WHOLE.fullmatch(name)
    return str(int(whole[1])) if whole else name


def check_case(names: Iterable[str]) -> None:
    """See whether two labels differ only in case.

    Raises:
        NysformerError: two do, with both.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise NysformerError(f"labels {other!r} and {name!r} differ only in case; give them one spelling")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
