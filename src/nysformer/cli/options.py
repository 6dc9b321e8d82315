"""Options of commands, made from the dataclasses they fill."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from functools import wraps
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer

from nysformer.cli.wording import flags_in_help, in_flags
from nysformer.errors import NysformerError
from nysformer.options import PANELS, Choice, Declaration, Names, Number, declarations

__all__ = ["Fixed", "filled", "flags_of", "offered"]

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Fixed:
    """Fields of a dataclass that a command does not offer, with their values: `Annotated[ReadOptions, Fixed(...)]`."""

    values: Mapping[str, Any]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "values", values)


def filled(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Turn every parameter of a command that is annotated with a dataclass of options into the options that fill it.

    An option has the name, type, default and help of its field (see `nysformer.options.Declaration`). The command gets
    the dataclasses made, and so checked; an error that is raised meanwhile, or by the command, names flags instead of
    fields. Other parameters stay as they are.

    Args:
        command: its dataclasses are keyword-only parameters without defaults.

    Raises:
        TypeError: two dataclasses offer one option.

    Example:
        >>> from nysformer.options import check_options, option, whole
        >>> @dataclass(frozen=True)
        ... class Lengths:
        ...     max_length: int = option(512, whole(1), help="Tokens per document.")
        ...     def __post_init__(self): check_options(self)
        >>> @filled
        ... def measure(path: str, *, lengths: Lengths) -> None:
        ...     print(path, lengths)
        >>> measure("a.txt", max_length=8)
        a.txt Lengths(max_length=8)
        >>> measure("a.txt", max_length=0)
        Traceback (most recent call last):
            ...
        nysformer.errors.NysformerError: --max-length: 0 is below 1; give a whole number from 1 to 2,147,483,647
    """
    filling = _dataclasses(command)
    flags = {name: declared.flag for name, (_, declared) in offered(command).items()}

    @wraps(command)
    def run(*args: Any, **values: Any) -> Answer:
        made = {}
        try:
            for name, (cls, fixed) in filling.items():
                given = {each: _value(values.pop(each)) for each in list(values) if each in _offered_by(cls, fixed)}
                made[name] = cls(**given, **fixed)
        except NysformerError as error:
            raise NysformerError(in_flags(str(error), flags, of_options=True)) from error
        try:
            return command(*args, **values, **made)
        except NysformerError as error:
            raise NysformerError(in_flags(str(error), flags)) from error

    parameters = [each for each in inspect.signature(command).parameters.values() if each.name not in filling]
    parameters += _parameters(command, flags)
    signature = inspect.signature(command).replace(parameters=parameters)
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": signature.return_annotation}
    return run


def offered(command: Callable[..., Any]) -> dict[str, tuple[type, Declaration]]:
    """The options of a command that fill dataclasses: name of the field -> dataclass and declaration, in their order.

    Args:
        command: the function that `filled` decorates, or the result.

    Raises:
        TypeError: two dataclasses offer one option.
    """
    found: dict[str, tuple[type, Declaration]] = {}
    for cls, fixed in _dataclasses(command).values():
        for name, declared in _offered_by(cls, fixed).items():
            if name in found:
                raise TypeError(f"{cls.__name__} and {found[name][0].__name__} have one option: {name}")
            found[name] = cls, declared
    return found


def flags_of(cls: type) -> dict[str, str]:
    """Field of a dataclass of options -> its name on the command line.

    Example:
        >>> from nysformer.checkpoints.options import ConversionOptions
        >>> flags_of(ConversionOptions)["num_landmarks"]
        '--landmarks'
    """
    return {declared.name: declared.flag for declared in declarations(cls)}


def _dataclasses(command: Callable[..., Any]) -> dict[str, tuple[type, Mapping[str, Any]]]:
    """Parameter -> its dataclass and the fields that stand fixed, of the parameters that are annotated with one."""
    found = {}
    for name, hint in get_type_hints(inspect.unwrap(command), include_extras=True).items():
        cls, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if name != "return" and isinstance(cls, type) and is_dataclass(cls) and declarations(cls):
            found[name] = cls, next((each.values for each in extras if isinstance(each, Fixed)), {})
    return found


def _offered_by(cls: type, fixed: Mapping[str, Any]) -> dict[str, Declaration]:
    return {declared.name: declared for declared in declarations(cls) if declared.name not in fixed}


def _parameters(command: Callable[..., Any], flags: Mapping[str, str]) -> list[inspect.Parameter]:
    """Of the options: by panel, in each those that must be given first."""

    def place(option: tuple[type, Declaration]) -> tuple[int, bool]:
        declared = option[1]
        return -1 if declared.panel is None else PANELS.index(declared.panel), declared.default is not MISSING

    return [_parameter(cls, declared, flags) for cls, declared in sorted(offered(command).values(), key=place)]


def _parameter(cls: type, declared: Declaration, flags: Mapping[str, str]) -> inspect.Parameter:
    default = declared.default
    if isinstance(declared.allowed, Choice) and declared.allowed.none is not None and default is None:
        default = declared.allowed.none
    silent = any(default is each for each in (None, False)) or default in ((), {})
    words = None if declared.show_default is None else flags_in_help(declared.show_default, flags)
    option = typer.Option(
        f"{declared.flag}/--no-{declared.flag.removeprefix('--')}" if default is True else declared.flag,
        metavar=declared.metavar,
        help=flags_in_help(_help(declared), flags),
        show_default=words or not silent,
        rich_help_panel=declared.panel,
    )
    return inspect.Parameter(
        declared.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else [] if default in ((), {}) else default,
        annotation=Annotated[_type(cls, declared), option],
    )


def _help(declared: Declaration) -> str:
    bounds = declared.allowed.bounds if isinstance(declared.allowed, Number) else ""
    return f"{declared.help} {bounds.capitalize()}." if bounds else declared.help


def _type(cls: type, declared: Declaration) -> Any:
    """What Typer is to read; a choice with a metavar is any text, which the dataclass checks."""
    hint = get_type_hints(cls)[declared.name]
    several = [each for each in (hint, *get_args(hint)) if get_origin(each) is tuple]
    if several:
        return list[get_args(several[0])[0]]  # type: ignore[misc]
    choice = declared.allowed
    if isinstance(choice, Names):
        return list[str]
    if isinstance(choice, Choice):
        words = choice.known if choice.none is None else (choice.none, *choice.known)
        named: Any = str if declared.metavar is not None else Literal[words]
        return named | None if choice.none is None and NoneType in get_args(hint) else named
    return hint


def _value(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given
