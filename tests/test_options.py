"""Options say what they may be, and refuse everything else with name, value and range."""

import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nysformer.checkpoints.options import ConversionOptions, ExportOptions
from nysformer.data.reading import ReadOptions
from nysformer.demo.options import DemoOptions
from nysformer.errors import NysformerError
from nysformer.inference.options import InferenceOptions
from nysformer.options import (
    PANELS,
    Choice,
    Flag,
    Names,
    Number,
    Text,
    Texts,
    as_keywords,
    check_options,
    declarations,
    option,
    option_class,
    required,
    share,
    whole,
)
from nysformer.training.distill_options import DistillOptions
from nysformer.training.options import FinetuneOptions
from nysformer.training.pretrain_options import PretrainOptions


@dataclass(frozen=True)
class Options:
    steps: int = option(3, whole(1), help="Said.")
    seed: int = option(0, whole(0, 2**32 - 1), help="Said.")
    limit: float | None = option(None, Number(0, 100, open_low=True), help="Said.")
    rate: float = option(0.1, Number(0, open_low=True), help="Said.")
    decay: float = option(0.1, Number(0), help="Said.")
    part: float = option(0.1, share(zero=True), help="Said.")
    metric: str | None = option(None, Choice(("loss", "accuracy")), help="Said.")
    fast: bool = option(False, Flag(), help="Said.")
    place: str = option("here", Text(), help="Said.")
    files: tuple[str, ...] = option((), Texts(), help="Said.")

    def __post_init__(self) -> None:
        check_options(self)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps: 0 is below 1; give a whole number from 1 to 2,147,483,647"),
        ({"steps": 2.0}, "steps: 2.0 is not a whole number; give"),
        ({"steps": True}, "steps: True is not a whole number; give"),
        ({"steps": "3"}, "steps: '3' is not a whole number; give"),
        ({"steps": None}, "steps: None is not a whole number; give"),
        ({"steps": 10**12}, "steps: 1000000000000 is above 2,147,483,647; give"),
        ({"seed": 5_000_000_000}, "seed: 5000000000 is above 4,294,967,295; give a whole number from 0"),
        ({"seed": -1}, "seed: -1 is below 0; give"),
        ({"limit": 0}, "limit: 0 is not above 0; give a number above 0 and at most 100"),
        ({"limit": float("inf")}, "limit: inf is not finite; give"),
        ({"limit": float("-inf")}, "limit: -inf is not above 0; give"),
        ({"limit": 101}, "limit: 101 is above 100; give"),
        ({"limit": "5"}, "limit: '5' is not a number; give"),
        ({"rate": float("nan")}, "rate: nan is not a number; give a number above 0"),
        ({"rate": float("inf")}, "rate: inf is not finite; give a number above 0"),
        ({"rate": 1j}, "rate: 1j is not a number"),
        ({"decay": -0.5}, "decay: -0.5 is below 0; give a number of at least 0"),
        ({"part": 1.0}, "part: 1.0 is not below 1; give a number of at least 0 and below 1"),
        ({"metric": "f1"}, "metric: 'f1' is unknown; there is loss, accuracy"),
        ({"metric": ["loss"]}, "metric: .* is unknown; there is loss, accuracy"),
        ({"fast": 1}, "fast: 1 is neither True nor False"),
        ({"place": ""}, "place: the text is empty"),
        ({"place": 3}, "place: 3 is not a text"),
        ({"files": 3}, "files: 3 is not a sequence of texts"),
        ({"files": ["a", None]}, "files: None is not a text"),
    ],
)
def test_name_value_and_range_of_what_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NysformerError, match=words) as caught:
        Options(**changes)
    assert "\n" not in str(caught.value)


def test_what_is_allowed_becomes_plain_python() -> None:
    options = Options(steps=np.int64(7), limit=np.float32(0.5), place=Path("a/b"), files=[Path("a"), "b"])
    assert (options.steps, options.limit, options.place, options.files) == (7, 0.5, "a/b", ("a", "b"))
    assert [type(value) for value in (options.steps, options.limit, options.place)] == [int, float, str]
    assert Options(files="a").files == ("a",)
    assert type(Options(limit=5).limit) is int
    assert Options(limit=None).limit is None
    assert Options(seed=2**32 - 1).seed == 2**32 - 1


@option_class
@dataclass(frozen=True, kw_only=True)
class Described:
    """What is done."""

    path: str = required(Text(), metavar="DIR", panel="Documents", help="Where to.")
    column: str = option("text", Text(), help="With the text.")
    names: dict[str, str] = option({}, Names(), help="Of others.")
    kind: str | None = option(None, Choice(("a", "b"), none="auto"), show_default="by suffix", help="Of file.")
    num_landmarks: int = option(64, whole(1, 128), flag="--landmarks", help="Per head.")
    deep: bool = option(False, Flag(), help="Below, too.")
    undeclared: int = 3

    def __post_init__(self) -> None:
        check_options(self)


def test_declarations_tell_what_a_field_is() -> None:
    path, column, names, kind, landmarks, deep = declarations(Described)
    assert (path.name, path.default, path.metavar, path.panel, path.flag) == (
        *("path", MISSING, "DIR", "Documents", "--path"),
    )
    assert (column.default, column.help, column.panel) == ("text", "With the text.", None)
    assert (names.default, names.allowed) == ({}, Names())
    assert (kind.default, kind.show_default) == (None, "by suffix")
    assert (landmarks.name, landmarks.flag, landmarks.allowed) == ("num_landmarks", "--landmarks", whole(1, 128))
    assert deep.default is False
    assert declarations(Described(path="a")) == declarations(Described)


def test_the_docstring_lists_the_fields() -> None:
    assert Described.__doc__ == (
        "What is done.\n\nAttributes:\n    path: Where to.\n    column: With the text. Default: text.\n"
        "    names: Of others.\n    kind: Of file. Default: by suffix.\n    num_landmarks: Per head. Default: 64.\n"
        "    deep: Below, too."
    )


def test_words_and_names() -> None:
    given = {Path("a"): "b"}
    described = Described(path="a", names=given)
    assert (described.names, Described(path="a").names) == ({"a": "b"}, {})
    with pytest.raises(NysformerError, match="names: 'a' is no mapping of names"):
        Described(path="a", names="a")
    assert Described(path="a", kind="auto").kind is None
    with pytest.raises(NysformerError, match="path: None is not a text"):
        Described(path=None)
    with pytest.raises(NysformerError, match="column: the text is empty"):
        Described(path="a", column="")


def test_keywords() -> None:
    @dataclass(frozen=True, kw_only=True)
    class More(Described):
        more: int = option(1, whole(1), help="Of it.")

    assert as_keywords(More(path="a"), of=Described) == as_keywords(Described(path="a"))
    assert as_keywords(More(path="a"))["more"] == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (whole(1), "at least 1"),
        (whole(0, 2**32 - 1), "at least 0, at most 4,294,967,295"),
        (share(zero=False), "above 0, below 1"),
        (Number(0, open_low=True), "above 0"),
    ],
)
def test_bounds_in_a_few_words(number: Number, words: str) -> None:
    assert number.bounds == words


@pytest.mark.parametrize(
    "options",
    [
        ConversionOptions,
        DemoOptions,
        DistillOptions,
        ExportOptions,
        FinetuneOptions,
        InferenceOptions,
        PretrainOptions,
        ReadOptions,
    ],
)
def test_the_library_declares_every_field(options: Any) -> None:
    declared = declarations(options)
    names = [each.name for each in declared]
    assert names == [field.name for field in fields(options)]
    assert len({each.flag for each in declared}) == len(names)
    for each in declared:
        assert re.fullmatch(r"\S.*\.", each.help), each.name
        known = {*names, "nysformer convert", "nysformer finetune", "nysformer pretrain"}
        assert set(re.findall("`(.*?)`", each.help + (each.show_default or ""))) <= known
        assert each.panel is None or each.panel in PANELS
        assert re.fullmatch(r"--[a-z][a-z0-9-]*", each.flag)
        if each.default is not MISSING and each.default is not None:
            assert each.allowed.read(each.name, each.default) == each.default
