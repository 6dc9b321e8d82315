"""What it costs and how exact it is, beside its peers. `python -m benchmarks NAME` runs one and writes it."""
