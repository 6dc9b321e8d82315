import pytest

from nysformer.data.reading import ReadOptions
from nysformer.errors import MissingColumn, NysformerError
from nysformer.tasks.fitting import fitting_tasks, naming_fitting_tasks


@pytest.mark.parametrize(
    ("columns", "options", "tasks"),
    [
        (["id", "tokens", "tags"], {}, ["token-classification"]),
        (["text", "spans"], {}, ["token-classification"]),
        (["text", "label"], {}, ["sequence-classification"]),
        (["context", "question", "answers"], {}, ["question-answering"]),
        (["context", "choices", "label"], {}, ["multiple-choice"]),
        (["context", "answers"], {}, []),
        (["text"], {}, []),
        ([], {}, []),
        (["body", "label"], {"text_column": "body"}, ["sequence-classification"]),
        (["context", "query", "answers"], {"columns": {"question": "query"}}, ["question-answering"]),
        (["text", "label"], {"columns": {"question": "query"}}, []),
    ],
)
def test_tasks_whose_columns_are_all_there(columns: list[str], options: dict[str, object], tasks: list[str]) -> None:
    assert fitting_tasks(columns, ReadOptions(**options)) == tasks  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (("tokens", "tags"), "no column 'text'; or the columns fit token-classification: task='token-classification'"),
        (
            ("tokens", "tags", "context", "choices", "label"),
            "no column 'text'; or the columns fit token-classification and multiple-choice: "
            "task='token-classification' or task='multiple-choice'",
        ),
        (("text", "label"), "no column 'text'"),
        (("body",), "no column 'text'"),
    ],
)
def test_the_error_names_them(columns: tuple[str, ...], line: str) -> None:
    with (
        pytest.raises(NysformerError) as caught,
        naming_fitting_tasks("sequence-classification", None, "task={}"),
    ):
        raise MissingColumn("no column 'text'", columns)
    assert str(caught.value) == line


def test_other_errors_stay() -> None:
    with pytest.raises(NysformerError, match=r"^broken$"), naming_fitting_tasks("masked-lm", None, "task={}"):
        raise NysformerError("broken")
