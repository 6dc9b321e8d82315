"""Options of commands come from the dataclasses they fill, and from nowhere else."""

import inspect
import re
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from nysformer.cli.help import Command
from nysformer.cli.main import app
from nysformer.cli.options import Fixed, filled, flags_of, offered
from nysformer.errors import NysformerError
from nysformer.options import Choice, Flag, Number, Text, Texts, check_options, option, required, whole

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
RUNNER = CliRunner()


def options_of(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "option"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_a_field(name: str) -> None:
    command = COMMANDS[name]
    declared = offered(inspect.unwrap(command.callback))
    assert {each.name for each in options_of(command)} == set(declared)
    for each in options_of(command):
        cls, field = declared[each.name]
        assert each.name in {field.name for field in fields(cls)}
        assert each.opts == [field.flag]
        assert each.required == (field.default is MISSING)
        if isinstance(field.allowed, Choice) and field.default is None:
            assert each.default == field.allowed.none
        elif field.default is not MISSING:
            assert (each.default or field.default) == field.default
        said = field.help
        for other, flag in {name: field.flag for name, (_, field) in declared.items()}.items():
            said = said.replace(f"`{other}`", flag)
        assert each.help.startswith(said)
        assert "`" not in re.sub(r"`nysformer \w+`", "", each.help)


FLAGS = {
    "finetune": "model train output task problem-type pooling head-layers probe-first valid valid-share group-column "
    "group-near-duplicates text-column label-column column input-format delimiter encoding label-from all-files "
    "max-length reading overlap train-windows tokens-per-batch epochs max-steps time-limit learning-rate "
    "weight-decay warmup-share max-grad-norm final-whole adapt-steps adapt-learning-rate freeze-embeddings "
    "layer-decay class-weights bf16 gradient-checkpointing seed eval-per-epoch eval-steps best-metric eval-dtype "
    "early-stopping log-every resume overwrite",
    "pretrain": "model size train output tokenizer vocab-size landmarks valid valid-share group-column "
    "group-near-duplicates text-column column input-format delimiter encoding all-files max-length reading overlap "
    "train-windows mask-fraction whole-words tokens-per-batch epochs max-steps time-limit learning-rate weight-decay "
    "warmup-share max-grad-norm bf16 gradient-checkpointing seed eval-per-epoch eval-steps best-metric eval-dtype "
    "early-stopping log-every resume overwrite",
    "distill": "text landmarks valid valid-share group-column group-near-duplicates text-column column input-format "
    "delimiter encoding all-files max-length vector-weight tokens-per-batch epochs max-steps time-limit learning-rate "
    "weight-decay warmup-share max-grad-norm bf16 gradient-checkpointing seed eval-per-epoch eval-steps best-metric "
    "eval-dtype early-stopping log-every resume overwrite",
    "evaluate": "model output errors compare-reading text-column label-column column input-format delimiter encoding "
    "label-from all-files max-length reading overlap tokens-per-batch dtype device",
    "predict": "model output format keep top-k resume overwrite text-column column input-format delimiter encoding "
    "all-files max-length reading overlap tokens-per-batch dtype device",
    "embed": "model output pooling passages normalize keep resume overwrite text-column input-format "
    "delimiter encoding all-files max-length overlap tokens-per-batch dtype device",
    "index": "output",
    "search": "model index top per json dtype device",
    "demo": "minutes output seed",
    "convert": "max-length landmarks landmark-kind landmark-steps softmax-max-length exact-layers "
    "exact-layers-length conv-kernel num-heads tokenizer "
    "allow-pickle",
    "export": "format token-types",
    "inspect": "",
}


def test_names_that_users_have_in_their_scripts_stay() -> None:
    assert {
        name: {flag for each in options_of(command) for flag in each.opts} for name, command in COMMANDS.items()
    } == {name: {f"--{flag}" for flag in flags.split()} for name, flags in FLAGS.items()}


@dataclass(frozen=True, kw_only=True)
class Reading:
    files: tuple[str, ...] = required(Texts(), help="To read.", metavar="FILE")
    kind: Literal["a", "b"] | None = option(None, Choice(("a", "b"), none="auto"), help="Of file.")
    column: str | None = option("text", Text(), help="Of `kind`.")
    deep: bool = option(False, Flag(), help="Below, too.")

    def __post_init__(self) -> None:
        check_options(self)
        if self.deep and self.kind == "a":
            raise NysformerError("deep and kind exclude each other; leave out one of the two")


@dataclass(frozen=True, kw_only=True)
class Running:
    batch_size: int = option(4, whole(1, 8), flag="--batch", help="Documents.")
    rate: float | None = option(
        None, Number(0, open_low=True), help="Per `batch_size`.", show_default="by `batch_size`"
    )
    task: str = option("one", Choice(("one", "two")), metavar="TASK", help="What to do.")
    safe: bool = option(True, Flag(), help="Check.")

    def __post_init__(self) -> None:
        check_options(self)


def cli(command: Any) -> typer.Typer:
    made = typer.Typer()
    made.command(cls=Command)(filled(command))
    return made


def show(name: Annotated[str, typer.Argument()] = "n", *, reading: Reading, running: Running) -> None:
    print(name, reading, running)


@pytest.mark.parametrize(
    ("arguments", "reading", "running"),
    [
        ("--files a", {}, {}),
        ("--files a --files b --kind b --deep", {"files": ("a", "b"), "kind": "b", "deep": True}, {}),
        ("--files a --kind auto --column c", {"column": "c"}, {}),
        (
            "--files a --batch 8 --rate 0.5 --task two --no-safe",
            {},
            {"batch_size": 8, "rate": 0.5, "task": "two", "safe": False},
        ),
    ],
)
def test_a_command_gets_the_dataclasses(arguments: str, reading: dict[str, Any], running: dict[str, Any]) -> None:
    result = RUNNER.invoke(cli(show), ["x", *arguments.split()])
    assert result.output.split() == f"x {Reading(**{'files': ('a',), **reading})} {Running(**running)}".split()
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--files a --batch 9", "--batch: 9 is above 8; give a whole number from 1 to 8"),
        ("--files a --deep --kind a", "--deep and --kind exclude each other; leave out one of the two"),
        ("--files a --task three", "--task: 'three' is unknown; there is one, two"),
    ],
)
def test_what_a_dataclass_refuses_names_the_option(arguments: str, line: str) -> None:
    result = RUNNER.invoke(cli(show), arguments.split())
    assert isinstance(result.exception, NysformerError)
    assert str(result.exception) == line


@pytest.mark.parametrize("arguments", ["", "--files a --kind c", "--files a --batch many"])
def test_what_is_no_value_at_all_is_wrong_use(arguments: str) -> None:
    assert RUNNER.invoke(cli(show), arguments.split()).exit_code == 2


def test_help_says_default_and_bounds() -> None:
    said = " ".join(RUNNER.invoke(cli(show), ["--help"], env={"COLUMNS": "200"}).output.replace("\u2502", " ").split())
    for words in (
        "Documents. At least 1, at most 8. [default: 4]",
        "Per --batch. Above 0. [default: (by --batch)]",
        "--kind <auto|a|b> Of file. [default: auto]",
        "--task TASK What to do. [default: one]",
        "Of --kind. [default: text]",
        "--deep Below, too.",
        "--no-safe",
    ):
        assert words in said


def test_fixed_fields_are_no_options() -> None:
    def command(*, reading: Annotated[Reading, Fixed(column="c", kind="a")]) -> None:
        print(reading)

    assert list(offered(command)) == ["files", "deep"]
    assert RUNNER.invoke(cli(command), ["--files", "f", "--column", "c"]).exit_code == 2
    assert "column='c', deep=False" in RUNNER.invoke(cli(command), ["--files", "f"]).output


def test_two_dataclasses_cannot_offer_one_option() -> None:
    def command(*, first: Reading, second: Reading) -> None: ...

    with pytest.raises(TypeError, match="Reading and Reading have one option: files"):
        filled(command)


def test_flags_of_a_dataclass() -> None:
    assert flags_of(Running) == {"batch_size": "--batch", "rate": "--rate", "task": "--task", "safe": "--safe"}
