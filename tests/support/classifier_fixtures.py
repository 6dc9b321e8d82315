from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import save_classifier


@pytest.fixture(scope="session")
def make_classifier(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a tiny classifier of its own, see `save_classifier`."""
    return lambda **settings: save_classifier(tmp_path_factory.mktemp("classifier"), **settings)


@pytest.fixture(scope="session")
def classifier(make_classifier: Callable[..., Path]) -> Path:
    """The folder of a tiny classifier of three labels: ham, spam, eggs. Not to be changed."""
    return make_classifier()
