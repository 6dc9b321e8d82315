"""Systems side by side on the same documents, each predicted by a training that has not seen it, with intervals."""
