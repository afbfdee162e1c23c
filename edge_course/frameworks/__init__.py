"""From one framework to another, by way of ONNX; and first aid where that fails."""
