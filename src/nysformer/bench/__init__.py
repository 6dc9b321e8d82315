"""What it costs and how exact it is, beside its peers. `python -m nysformer.bench NAME` runs one and writes it."""
