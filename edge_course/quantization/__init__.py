"""The arithmetic of quantization, in NumPy: scales, ranges, rounding, fixed point, packing."""
