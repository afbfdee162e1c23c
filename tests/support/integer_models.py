"""The course's integer arithmetic of a test's file."""

from edge_course.integer_inference.model import IntegerModel
from edge_course.runtimes import tflite_file


def integer_model(file: bytes) -> IntegerModel:
    """A model of a file with many outputs, of which the last is its own."""
    graph = tflite_file.read_tflite(file)
    return IntegerModel(graph._replace(outputs=graph.outputs[-1:]))
