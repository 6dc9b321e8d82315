"""What counts as a recorded program."""

from collections.abc import Callable

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from nysformer import NysformerError
from nysformer.ops import check_traceable, is_recorded
from nysformer.ops.tracing import is_differentiated_forward, is_transformed

X = torch.ones(3)


def seen(question: Callable[[], bool], run: Callable[[Callable[[torch.Tensor], torch.Tensor]], object]) -> bool:
    answers: list[bool] = []

    def program(x: torch.Tensor) -> torch.Tensor:
        answers.append(question())
        return x * x.sum()

    run(program)
    return answers[-1]


def test_recorded_or_not() -> None:
    def fake(program: Callable[[torch.Tensor], torch.Tensor]) -> None:
        with FakeTensorMode() as mode:
            program(mode.from_tensor(X))

    def counted(program: Callable[[torch.Tensor], torch.Tensor]) -> None:
        with FlopCounterMode(display=False):
            program(X)

    assert not is_recorded()
    assert not seen(is_recorded, lambda program: program(X))
    assert not seen(is_recorded, counted)
    assert seen(is_recorded, fake)
    assert seen(is_recorded, lambda program: make_fx(program)(X))
    assert seen(is_recorded, lambda program: torch.func.vmap(program)(X[None]))
    assert seen(is_recorded, lambda program: torch.func.jvp(program, (X,), (X,)))
    compiled = torch.compile(lambda x: x + is_recorded(), backend="eager", fullgraph=True)
    assert torch.equal(compiled(X), X + 1)


def test_transforms_and_forward_mode() -> None:
    assert not is_transformed()
    assert seen(is_transformed, lambda program: torch.func.grad(lambda x: program(x).sum())(X))
    assert not seen(is_differentiated_forward, lambda program: torch.func.vmap(program)(X[None]))
    with torch.autograd.forward_ad.dual_level():
        assert is_differentiated_forward()
        assert not is_recorded()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jit_tracing_is_refused() -> None:
    check_traceable()

    def program(x: torch.Tensor) -> torch.Tensor:
        check_traceable()
        return x

    with pytest.raises(NysformerError, match="bakes lengths in"):
        torch.jit.trace(program, X)
