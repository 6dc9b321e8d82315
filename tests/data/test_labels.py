"""One spelling for each label."""

import math
from decimal import Decimal

import pytest

from nysformer.data.labels import UnusableLabel, check_case, normal_label
from nysformer.errors import NysformerError


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (("ham", " ham ", "ham\n", "ham\u00a0", "\ufeffham", b"ham"), "ham"),
        ((True, "True", "TRUE", "true"), "true"),
        ((False, "False"), "false"),
        ((1, 1.0, "1", "1.0", "1.00", Decimal("1.0")), "1"),
        ((-0.0, "-0.0", 0), "0"),
        (("caf\u00e9", "cafe\u0301"), "café"),
        (("a  b", "a b", "a\tb"), "a b"),
        (("01",), "01"),
        (("1.5",), "1.5"),
        (("None",), "None"),
        ((10**30,), "1" + "0" * 30),
    ],
)
def test_spellings(values: tuple[object, ...], name: str) -> None:
    assert [normal_label(value) for value in values] == [name] * len(values)


@pytest.mark.parametrize("value", [None, "", " ", math.nan, "NaN", "nan", Decimal("NaN"), "\u200b"])
def test_no_label(value: object) -> None:
    with pytest.raises(UnusableLabel, match="the document has no label"):
        normal_label(value)


@pytest.mark.parametrize("value", [1.5, math.inf, ["x"], {"a": 1}, object(), Decimal("1.5"), b"\xff"])
def test_no_name(value: object) -> None:
    with pytest.raises(UnusableLabel):
        normal_label(value)


def test_case() -> None:
    check_case(["ham", "spam"])
    with pytest.raises(NysformerError, match="labels 'Ham' and 'HAM' differ only in case"):
        check_case(["Ham", "spam", "HAM"])
