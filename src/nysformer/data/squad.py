"""Rows inside one JSON object: SQuAD's articles, paragraphs and questions, and plain lists under "data"."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

__all__ = ["inner_rows"]


def inner_rows(values: Mapping[str, Any], documents: Collection[str]) -> Iterator[Mapping[str, Any] | str] | None:
    """The rows that an object holds under "data", or as an article of SQuAD; None for a row itself.

    A question of SQuAD (1.1 or 2.0) becomes {"id", "title", "context", "question", "answers"} with the answers as
    {"text": [...], "answer_start": [...]}; these are empty where it is impossible, whatever is plausible, and missing
    where the file has none.

    Args:
        values: an object of a JSON file.
        documents: names of columns that hold documents: an object that has one of them is a row.

    Returns:
        An iterator over rows, and over a reason in the place of what is malformed.

    Example:
        >>> list(inner_rows({"version": 1, "data": [{"text": "one"}]}, ["text"]))
        [{'text': 'one'}]
    """
    if any(name in values for name in documents):
        return None
    if isinstance(values.get("paragraphs"), list):
        return _article(values, "")
    data = values.get("data")
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        return None
    return _items(data)


def _items(data: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any] | str]:
    for number, item in enumerate(data, start=1):
        if isinstance(item.get("paragraphs"), list):
            yield from _article(item, f" of article {number}")
        else:
            yield item


def _article(article: Mapping[str, Any], where: str) -> Iterator[Mapping[str, Any] | str]:
    for number, paragraph in enumerate(article["paragraphs"], start=1):
        place = f"paragraph {number}{where}"
        if not isinstance(paragraph, Mapping) or "context" not in paragraph:
            yield f"{place} has no 'context'; fix or remove it"
            continue
        questions = paragraph.get("qas")
        if not isinstance(questions, list):
            yield f"{place} has no list of questions 'qas'; fix or remove it"
            continue
        for count, question in enumerate(questions, start=1):
            if not isinstance(question, Mapping):
                yield f"question {count} of {place} is no object; fix or remove it"
                continue
            row = {
                "id": question.get("id"),
                "title": article.get("title"),
                "context": paragraph["context"],
                "question": question.get("question"),
            }
            if question.get("is_impossible") is True:
                row["answers"] = {"text": [], "answer_start": []}
            elif "answers" in question:
                row["answers"] = _answers(question["answers"])
            yield row


def _answers(answers: Any) -> Any:
    """Two lists out of a list of answers; whatever else it is, as it is."""
    if not isinstance(answers, list) or not all(
        isinstance(answer, Mapping) and {"text", "answer_start"} <= answer.keys() for answer in answers
    ):
        return answers
    return {name: [answer[name] for answer in answers] for name in ("text", "answer_start")}
