"""What LiteRT's integer kernels demand of codes, as settings for other tools."""

from __future__ import annotations

from edge_course.quantization import quant

WEIGHT_AXES = {"weight": 0, "transposed weight": 1}  # of the channels out, in PyTorch's order


def spec_settings(role: str, bits: int) -> tuple[int, int, str, int]:
    """Return settings of torchao's `QuantizationSpec` that follow LiteRT's rules.

    LiteRT's quantization specification: activations int8 with one scale and zero point a tensor;
    weights with the zero point 0, so without the lowest code, and a scale for each channel out.

    Parameters
    ----------
    role : "activation"; "weight" of a convolution or a dense layer, whose first axis in PyTorch
        counts the channels out; or "transposed weight" of a transposed convolution, whose second
        axis does.
    bits : of a weight, 2 to 8; an activation has 8 whatever they are.

    Returns
    -------
    tuple
        ``quant_min``, ``quant_max``, the name of the ``qscheme`` in torch, and the axis
        ``ch_axis``, −1 for an activation.

    Raises
    ------
    ValueError
        If the role or the bits are others.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    if role == "activation":
        return *quant.code_range(8), "per_tensor_affine", -1
    if role not in WEIGHT_AXES:
        raise ValueError(f"expected activation, {' or '.join(WEIGHT_AXES)}, got {role!r}")
    return *quant.code_range(bits, narrow=True), "per_channel_symmetric", WEIGHT_AXES[role]
