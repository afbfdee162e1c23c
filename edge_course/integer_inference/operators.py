"""What each operator of an int8 network computes, in whole numbers.

LiteRT has two families of kernels, and TensorFlow Lite Micro (TFLM) has a third. The *reference*
kernels rescale their int32 sums with a
fixed-point multiplier (see `fixed_point`). The *default* ones (XNNPACK's) rescale with one
float32 multiplication; where they do something else again, the function of that operator says
so. TFLM's kernels, *micro*, are the reference kernels but for dense layers, which round twice;
where they pad (SPACE_TO_BATCH_ND) with what lies in memory by chance, the zero point stands here.
All were found by comparing bytes. Each module has the operators of one kind; importing
them fills the table.
"""

from edge_course.integer_inference import activations, arithmetic, layers, moves
from edge_course.integer_inference.table import COMPUTATIONS, check_micro, check_operator

__all__ = [
    "COMPUTATIONS", "activations", "arithmetic", "check_micro", "check_operator", "layers", "moves",
]  # fmt: skip
