"""Real data for every task, and the trivial baseline that a model has to beat: `python -m benchmarks.recipes NAME`."""
