"""What every test runs under: one thread, one kind of product, property tests with the same examples and no clock.

Fixtures that several rooms use are plugins in `tests/support`.
"""

import os
import signal

import torch
from hypothesis import HealthCheck, settings

from nysformer.ops import can_pack, set_product_backend

pytest_plugins = ("model_fixtures", "classifier_fixtures")

# The tensors are tiny: threads cost more than they save, by fifty times where the cores are shared.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
# A job that a shell starts in the background ignores Ctrl-C, and so would all processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Measured, the choice could differ between two runs of the tests, and with it the last digits.
set_product_backend("onednn" if can_pack(torch.float32) else "torch")

settings.register_profile(
    "nysformer", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nysformer")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their number: an archive's hold the time of its making, which two workers see differently."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
