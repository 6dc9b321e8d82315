"""What counts as a hook."""

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from nysformer.layers.watched import is_hooked, is_watched


def test_hooks_and_forwards_put_in_place() -> None:
    block = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
    assert not is_watched(block)
    handle = block[1][0].register_forward_hook(lambda *_: None)
    assert is_watched(block)
    assert is_hooked(block[1][0])
    assert not is_hooked(block[0])
    handle.remove()
    handle = block[0].register_forward_pre_hook(lambda *_: None)
    assert is_watched(nn.ReLU(), block)
    handle.remove()
    handle = register_module_forward_pre_hook(lambda *_: None)
    assert is_watched(block)
    handle.remove()
    block[0].forward = lambda x: x  # as accelerate does
    assert is_watched(block)


def test_a_compiled_call_is_not_the_class_s_forward() -> None:
    block = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    block[1].compile(backend="eager")
    assert is_hooked(block[1])
    assert not is_hooked(block)
    assert is_watched(block)
