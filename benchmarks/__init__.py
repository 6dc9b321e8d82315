"""What nysformer costs and how exact it is, beside its peers: `python -m benchmarks NAME` in the root of a checkout."""
