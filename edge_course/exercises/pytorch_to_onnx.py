"""The exercises of notebook 04_pytorch_to_onnx."""

from __future__ import annotations

from edge_course.check import Exercise

EXERCISES: tuple[Exercise, ...] = ()
