"""Training a network with the rounding it will run with.

In every step, weights and activations go to their integer codes and back (*fake*
quantization), so that the loss feels the rounding; the gradient goes straight through it.
The trained codes and scales go into a LiteRT file by `export.export_litert`.
"""
