"""How an encoder is executed, never what it computes."""
