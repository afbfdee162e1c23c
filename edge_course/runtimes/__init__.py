"""LiteRT and ONNX Runtime: converting to their files, running them, reading what they hold."""
