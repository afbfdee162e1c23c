"""From an int8 ``.tflite`` file to C: a compiler for a network is a loop over its operators.

The C needs no library and no memory beside one static array: the weights are constants (they stay
in flash), and the activations lie in an arena that `memory_plan` lays out.
"""

from __future__ import annotations

import os
from math import prod
from string import Template

import numpy as np

from edge_course.integer_inference.model import IntegerModel
from edge_course.integer_inference.operators import check_micro
from edge_course.integer_inference.step import Step
from edge_course.microcontroller.c_arithmetic import HELPERS
from edge_course.microcontroller.c_operators import TO_C, not_in_c
from edge_course.microcontroller.compiler import CSource
from edge_course.microcontroller.host import HostModel
from edge_course.microcontroller.memory_plan import MemoryPlan, plan_memory
from edge_course.runtimes import model_files, tflite_file
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_file import Graph, Operator

CHECKED = 8  # random inputs, through the C and through the engine
HEADER = """\
#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>

#define MODEL_INPUT_BYTES $input_bytes
#define MODEL_OUTPUT_BYTES $output_bytes
#define MODEL_ARENA_BYTES $arena_bytes

/* An input code q means $input_scale * (q - $input_zero),
   an output code q means $output_scale * (q - $output_zero). */
extern int8_t *const model_input;        /* write all codes before every run, which reuses them */
extern const int8_t *const model_output; /* read them before the next input is written */
void model_run(void);

#endif
"""
# Compiled with -DOPERATOR=..., the operators can be kept apart, to count each by itself.
OPERATOR = """\
#ifndef OPERATOR
#define OPERATOR static
#endif
"""
ARENA = """\
static int32_t arena[$words]; /* whole words, so that it begins at one */
#define AT(offset) ((int8_t *)arena + (offset))
int8_t *const model_input = AT($input);
const int8_t *const model_output = AT($output);
"""


def to_c(model: bytes | str | os.PathLike) -> CSource:
    """Return an int8 network as C99, compared with the engine on random inputs.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no TFLite model, takes several inputs at once, or has an operator or a setting
        that is not known here; the message names it.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    engine = IntegerModel.from_file(model)
    plan = plan_memory(model)
    try:
        source = _written(engine.graph, plan)
    except ModelError as error:
        raise ModelError(f"{model_files.name(model)}: {error}") from None
    if not _same_as_the_engine(source, engine):
        raise ModelError(f"{model_files.name(model)}: its C computes something else; do not use it")
    return source


def _same_as_the_engine(source: CSource, engine: IntegerModel) -> bool:
    shape = engine.graph.inputs[0].shape
    x = np.random.default_rng(0).integers(-128, 128, (CHECKED, *shape[1:]), np.int8)
    return np.array_equal(HostModel(source).run(x), engine.run(x, "micro").reshape(CHECKED, -1))


def _written(graph: Graph, plan: MemoryPlan) -> CSource:
    (given,), (wanted,) = graph.inputs, graph.outputs
    if given.shape[0] != 1:
        raise ModelError(f"cannot write it as C: it takes {given.shape[0]} inputs at once")
    functions, calls = [], []
    shapes = tflite_file.shape_tensors(graph.operators)
    for number, operator in enumerate(graph.operators):
        if operator.outputs[0].index in shapes:
            continue  # it works out a shape, which is known
        name = f"{operator.name.lower()}_{number}"
        constants, body = _operator(operator, name)
        read = [t for t in operator.given if t.index in plan.offsets]
        parameters = ", ".join(f"const int8_t *x{i or ''}" for i in range(len(read)))
        functions.append(
            f"/* {operator} */\n{constants}"
            f"OPERATOR void {name}({parameters}, int8_t *y) {{\n{body}}}\n"
        )
        places = ", ".join(f"AT({plan.offsets[t.index]})" for t in (*read, operator.outputs[0]))
        calls.append(f"  {name}({places});\n")
    values = {
        "input_bytes": prod(given.shape), "input_zero": given.zero_points[0],
        "input_scale": given.scales[0], "input": plan.offsets[given.index],
        "output_bytes": prod(wanted.shape), "output_zero": wanted.zero_points[0],
        "output_scale": wanted.scales[0], "output": plan.offsets[wanted.index],
        "arena_bytes": plan.bytes, "words": -(-plan.bytes // 4),
    }  # fmt: skip
    arena = Template(ARENA).substitute(values)
    run = "void model_run(void) {\n" + "".join(calls) + "}\n"
    helpers = [c for name, c in HELPERS.items() if f"{name}(" in "".join(functions)]
    parts = ['#include "model.h"\n', *helpers, OPERATOR, *functions, arena, run]
    header = Template(HEADER).substitute(values)
    return CSource("\n".join(parts), header, values["input_bytes"], values["output_bytes"])


def _operator(operator: Operator, name: str) -> tuple[str, str]:
    """Return an operator's constants and the body of its function."""
    if operator.name not in TO_C:
        raise not_in_c(operator, f"known are {', '.join(sorted(TO_C))}")
    check_micro(operator)
    if operator.name == "ADD" and any(t.values is not None for t in operator.given):
        raise not_in_c(operator, "it adds a constant")
    return TO_C[operator.name](Step(operator, {}, "micro"), name)
