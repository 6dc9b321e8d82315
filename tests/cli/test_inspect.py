import sys
from pathlib import Path

import pytest
from tiny import save_classifier

from nysformer.cli.main import main


@pytest.mark.parametrize("softmax", [True, False])
def test_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], softmax: bool
) -> None:
    folder = save_classifier(tmp_path, **({"segment_means_seq_len": 8} if softmax else {}))
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["nysformer", "inspect", str(folder)])
    with pytest.raises(SystemExit) as exit:
        main()
    out, err = capfd.readouterr()
    assert (exit.value.code or 0, err) == (0, "")
    for words in ("NystromformerForSequenceClassification", "5 taps", "256 tokens", "65,536", "tokenizer.json", "head"):
        assert words in out
    assert ("warning: this checkpoint runs softmax attention" in out) == softmax


def test_landmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    overrides = {1: {"num_landmarks": 16, "landmark_steps": 1}}
    folder = save_classifier(tmp_path, landmarks="clusters", landmark_steps=3, layer_overrides=overrides)
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["nysformer", "inspect", str(folder)])
    with pytest.raises(SystemExit):
        main()
    out, _ = capfd.readouterr()
    assert "8 landmarks a head (clusters, 3 steps) beyond" in out
    assert "layer 1: landmark_steps 1, num_landmarks 16" in out


def test_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["nysformer", "inspect", str(tmp_path)])
    with pytest.raises(SystemExit) as exit:
        main()
    out, err = capfd.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert "no config.json" in err
