"""What tests of the commands that train share: a command in this process or in one of its own, and its curve."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nysformer.cli.main import main
from nysformer.ops import product_backend


def call(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["nysformer", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def curve(run: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def started(job: list[str], tmp_path: Path, until: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, with the products of this one, once the file `until` is there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "datasets-cache")}
    program = (
        f"from nysformer.ops import set_product_backend; set_product_backend({product_backend()!r}); "
        "from nysformer.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *job], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    )
    while not (tmp_path / until).exists():
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        time.sleep(0.01)
    return process
