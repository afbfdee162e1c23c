"""A ``.tflite`` file as the objects of its schema, there and back.

The format is a FlatBuffer; its schema (``schema.fbs`` in LiteRT's repository) comes with the
runtime as a Python module. `tflite_file` says the same in fewer words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite file (schema.fbs: file_identifier)


def to_schema(content: bytes) -> Any:
    """Return the content of a file as a ``ModelT``, to be changed.

    The module takes every number on trust: let the runtime load the file before.
    Data of length 0 becomes no data: some writers store so what is computed when the network runs.
    Data that lies behind the FlatBuffer, where LiteRT's own quantizer puts it, comes inside.
    """
    from ai_edge_litert import schema_py_generated as schema

    file = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in file.buffers:
        if buffer.offset > 1:  # counted from the start of the file (schema.fbs: Buffer)
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(content, np.uint8)[buffer.offset : end]
            buffer.offset = buffer.size = 0
        if buffer.data is not None and not len(buffer.data):
            buffer.data = None
    return file


def from_schema(file: Any, builder: Any = None) -> bytes:
    """Return the content of a file from a ``ModelT``; ``builder``: a ``flatbuffers.Builder``."""
    import flatbuffers

    builder = flatbuffers.Builder(1024) if builder is None else builder
    builder.Finish(file.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def builtin_name(file: Any, operator: Any) -> str:
    """Return what the schema calls an operator of a file, an ``OperatorT`` of a ``ModelT``.

    Files written before TensorFlow 2.4 keep the code in a field of one byte, which is now
    called deprecated; newer ones fill both as far as the code fits. The larger one counts.
    """
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {code: name for name, code in vars(BuiltinOperator).items()}
    code = file.operatorCodes[operator.opcodeIndex]
    return names[max(code.builtinCode, code.deprecatedBuiltinCode)]
