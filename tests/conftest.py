"""What every test runs under: one thread, and property tests with the same examples in every run and no clock."""

import torch
from hypothesis import HealthCheck, settings

# The tensors are tiny: threads cost more than they save, by fifty times where the cores are shared.
torch.set_num_threads(1)

settings.register_profile(
    "nysformer", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nysformer")
