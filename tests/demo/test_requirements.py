"""What is missing is named, with the mend."""

from importlib import metadata

import pytest

from nysformer.demo.requirements import check_installed
from nysformer.errors import NysformerError


def test_everything_is_there() -> None:
    check_installed()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def some(name: str) -> None:
        if name in {"matplotlib", "licensedcode-data"}:
            raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", some)
    with pytest.raises(NysformerError, match=r"needs licensedcode-data, matplotlib: .*nysformer\[demo\]"):
        check_installed()
