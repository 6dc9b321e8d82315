"""README's Python runs as it stands, and its links lead somewhere."""

import random
import re
from pathlib import Path

import pytest
from tiny import LETTERS, save_classifier

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_from_text_to_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    save_classifier(tmp_path / "encoder")
    for name in ("train.csv", "test.csv"):
        rows = [f"{' '.join(draw.choices(LETTERS, k=9))},{('law', 'poem')[number % 2]}" for number in range(20)]
        (tmp_path / name).write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 8
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert 0 <= float(printed[0]) <= 1
    assert printed[1].split()[0] in ("law", "poem")


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))])
def test_links_between_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), f"{page} leads to {target}, which is not there"
