"""The document a report shows: chosen by a rule that is said beside it, not by how well it looks."""

from collections.abc import Sequence

__all__ = ["choose_example"]

# In the order in which they are tried: whether the model is right, whether its rival is, and what that means.
_RULES = (
    (True, False, "the first test document, in the order of the file, that {model} gets right and {rival} gets wrong"),
    (False, True, "{model} alone gets no test document right, so the first that {rival} gets right and it gets wrong"),
    (False, False, "{model} and {rival} are right on the same test documents, so the first that both get wrong"),
    (True, True, "{model} and {rival} get every test document right, so the first of them"),
)


def choose_example(
    model_right: Sequence[bool], rival_right: Sequence[bool], *, model: str, rival: str
) -> tuple[int, str]:
    """Choose the test document to show.

    Args:
        model_right: of each test document, whether the model's answer is right.
        rival_right: the same of the system it is compared with.
        model, rival: what to call them.

    Returns:
        The document's place, and the rule by which it was chosen.

    Example:
        >>> choose_example([True, True], [True, False], model="ours", rival="theirs")[0]
        1
    """
    outcomes = list(zip(model_right, rival_right, strict=True))
    for ours, theirs, rule in _RULES:
        if (ours, theirs) in outcomes:
            return outcomes.index((ours, theirs)), rule.format(model=model, rival=rival)
    raise ValueError("there are no test documents")
