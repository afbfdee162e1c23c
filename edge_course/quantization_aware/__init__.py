"""Training a network with the rounding it will run with."""
