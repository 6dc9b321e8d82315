"""The last share of a run reads whole documents: when it begins, what it reads, and that a resumption knows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import load_classifier
from transformers import TrainerState

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.errors import NysformerError
from nysformer.inference.evaluate import evaluate
from nysformer.tasks.sequence_classification import SequenceClassification
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions
from nysformer.training.phases import FinalPhase, NumberedBatches
from nysformer.training.schedule import Clock, Schedule

Options = Callable[..., FinetuneOptions]


def phase_of(steps: int, share: float, lengths: list[int], **schedule: Any) -> FinalPhase:
    schedule = {"warmup_share": 0.1, "clock": Clock(), **schedule}
    return FinalPhase(share, Schedule(steps=steps, **schedule), TokenBudgetBatchSampler(lengths, 10))


def test_batches_of_the_last_share_come_from_the_other_examples() -> None:
    batches = TokenBudgetBatchSampler([5] * 6, 10)
    final = phase_of(7, 0.5, [10, 10])
    numbered = NumberedBatches(batches, 6, final)
    seen = []
    for epoch in range(3):
        numbered.set_epoch(epoch)
        seen += list(numbered)
    assert [(epoch, number) for batch in seen for epoch, number, _ in batch[:1]] == [divmod(n, 3) for n in range(9)]
    indices = [[index for _, _, index in batch] for batch in seen]
    assert final.first == 4
    assert all(index < 6 for batch in indices[:4] for index in batch)
    assert sorted(index for batch in indices[4:6] for index in batch) == [6, 7], "an epoch of its own"
    assert sorted(index for batch in indices[6:8] for index in batch) == [6, 7]


def test_by_time_it_begins_once_and_a_resumption_knows_when() -> None:
    now = 0.0
    schedule = {"clock": Clock(now=lambda: now), "limit": 100.0}
    schedule["clock"].start()
    final = phase_of(1000, 0.25, [10], **schedule)
    assert final.batch(0) is None
    now = 80.0
    assert final.batch(1) == [0]
    state = TrainerState(global_step=3, stateful_callbacks={"FinalPhase": json.loads(json.dumps(final.state()))})
    for first in (1, None):
        state.stateful_callbacks["FinalPhase"]["attributes"]["first"] = first
        again = phase_of(1000, 0.25, [10], **schedule)
        again.resume(state)
        assert [again.batch(step) is None for step in range(4)] == (
            [True] + [False] * 3 if first else [True] * 3 + [False]
        )


@pytest.fixture
def lengths_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The longest example of each training batch, in order."""
    found: list[int] = []
    collate = SequenceClassification.collate

    def noted(self: Any, examples: Any, pad: int, rng: Any = None) -> Any:
        if examples[0].targets and rng is not None and rng.bit_generator.seed_seq.entropy[0] == 7:
            found.append(max(example.num_tokens for example in examples))
        return collate(self, examples, pad, rng)

    monkeypatch.setattr(SequenceClassification, "collate", noted)
    return found


def test_a_run_ends_on_whole_documents(options: Options, documents: tuple[Path, Path], lengths_read: list[int]) -> None:
    settings = {"reading": "windows", "max_length": 40, "final_whole": 0.3, "seed": 7, "max_steps": 10}
    run = finetune(options(**settings))
    assert max(lengths_read[:7]) <= 40
    assert max(lengths_read[7:10]) == 256
    config = load_classifier(run.output).config
    assert not hasattr(config, "reading"), "the model reads whole documents"
    assert evaluate(run.output, [documents[1]])["accuracy"] == run.metrics["accuracy"]
    assert run.truncated == {"train": 17, "valid": 6}, "beyond the positions of the model"


@pytest.mark.parametrize("at_step", [3, 8])
def test_a_killed_run_resumes_with_the_same_losses(
    options: Options, tmp_path: Path, killed: Callable[[int], None], at_step: int
) -> None:
    settings = {"reading": "windows", "max_length": 64, "final_whole": 0.5, "max_steps": 10, "eval_steps": 2}

    def history(run: Path) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
        return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]

    whole = finetune(options(output=str(tmp_path / "whole"), **settings))
    killed(at_step)
    with pytest.raises(KeyboardInterrupt):
        finetune(options(**settings))
    resumed = finetune(options(resume=True, **settings))
    assert history(resumed.output) == history(whole.output)
    assert resumed.metrics == whole.metrics


def test_documents_that_are_read_whole_anyway(options: Options) -> None:
    with pytest.raises(NysformerError, match="final_whole: documents are read whole from the beginning"):
        finetune(options(final_whole=0.2))
