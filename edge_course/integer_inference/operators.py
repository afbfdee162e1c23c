"""What each operator of an int8 network computes, in whole numbers.

LiteRT has two families of kernels. The *reference* kernels rescale their int32 sums with a
fixed-point multiplier (see `fixed_point`). The *default* ones (XNNPACK's) rescale with one
float32 multiplication; where they do something else again, the function of that operator says
so. Both were found by comparing bytes. Each module has the operators of one kind; importing
them fills the table.
"""

from edge_course.integer_inference import activations, arithmetic, layers, moves
from edge_course.integer_inference.table import COMPUTATIONS, check_operator

__all__ = ["COMPUTATIONS", "activations", "arithmetic", "check_operator", "layers", "moves"]
