"""Other encoders' checkpoints as Nyströmformers, with the numbers of their source."""
