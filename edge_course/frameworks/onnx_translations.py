"""What each ONNX operator is in Keras: a table of translations.

A translation takes an `OnnxNode` and returns the output as a Keras tensor, float32, or as an
array that does not depend on the input. Every 4-D tensor is NCHW in ONNX and NHWC in Keras (see
`layout`); all others have one order in both. What the node asks for and the Keras model would not
do raises a `TranslationError` that names the node. What each operator means is defined on
onnx.ai/onnx/operators.

The translations stand in three modules by subject. Importing these enters them into the table.

Taught in: notebooks/05_crossing_frameworks.ipynb
"""

from edge_course.frameworks import onnx_arithmetic, onnx_shapes, onnx_windows
from edge_course.frameworks.onnx_node import TRANSLATIONS

__all__ = ["TRANSLATIONS", "onnx_arithmetic", "onnx_shapes", "onnx_windows"]
