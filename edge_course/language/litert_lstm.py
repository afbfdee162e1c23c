"""One step of an LSTM as a LiteRT file: symbol and state go in, scores and the new state come out.

A file for a whole sequence would hold a loop, which the converter can only write with operators
that small runtimes lack. One step has none, and the state lies with whoever calls it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from edge_course.runtimes import litert
from edge_course.runtimes.model_files import ModelError

STEP_MODES = ("float32", "dynamic", "int8", "int16")


def step_files(
    tf, arrays: Mapping[str, np.ndarray], modes: Sequence[str], examples: Mapping[str, np.ndarray]
) -> dict[str, bytes]:
    """Return the step as the contents of ``.tflite`` files; for `in_tensorflow.with_tensorflow`.

    Parameters
    ----------
    tf : TensorFlow.
    arrays : `lstm.LSTMWeights`, as a dict.
    modes : some of "float32", "dynamic" (int8 weights), "int8" (all, at both ends too) and "int16"
        (int8 weights, int16 activations).
    examples : inputs of real steps to choose scales by: "symbol" one-hot (m, symbols), "h" and "c"
        (m, units), float32.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    symbols, size = arrays["embedding"].shape
    units = len(arrays["U"])
    ends = (("symbol", symbols), ("h", units), ("c", units))
    symbol, h, c = (tf.keras.Input((n,), name=name) for name, n in ends)
    # A row of the table as a product with a one-hot vector: int16 knows no table.
    x = tf.keras.layers.Dense(size, use_bias=False, name="embedding")(symbol)
    _, (h2, c2) = tf.keras.layers.LSTMCell(units, name="cell")(x, [h, c])
    scores = tf.keras.layers.Dense(symbols, name="scores")(h2)
    model = tf.keras.Model([symbol, h, c], {"logits": scores, "h": h2, "c": c2})
    model.get_layer("embedding").set_weights([arrays["embedding"]])
    model.get_layer("cell").set_weights([arrays["W"], arrays["U"], arrays["b"]])
    model.get_layer("scores").set_weights([arrays["out"], arrays["out_bias"]])

    def rows():
        for i in range(len(examples["symbol"])):
            yield {name: values[i : i + 1] for name, values in examples.items()}

    def convert(mode):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if mode != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if mode in ("int8", "int16"):
            kinds = tf.lite.OpsSet
            kind = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
            kind = "TFLITE_BUILTINS_INT8" if mode == "int8" else kind
            converter.target_spec.supported_ops = [getattr(kinds, kind)]
            converter.representative_dataset = rows
            converter.inference_input_type = tf.dtypes.as_dtype(mode)
            converter.inference_output_type = converter.inference_input_type
        return converter.convert()

    return {mode: convert(mode) for mode in modes}


class StepRunner:
    """A step file at work: real numbers go in and come out, the state stays in the file's type.

    The state that comes out goes in again as it is: both ends have the same scale.

    Parameters
    ----------
    file : the content of a ``.tflite`` file from `step_files`, or its path.
    streams : how many texts are read side by side.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no such file.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """

    def __init__(self, file: bytes | str | os.PathLike, streams: int = 1):
        self._interpreter = litert.interpreter(file)
        signatures = self._interpreter.get_signature_list()
        names = signatures.get("serving_default", {"inputs": [], "outputs": []})
        ends = [sorted(names["inputs"]), sorted(names["outputs"])]
        if ends != [["c", "h", "symbol"], ["c", "h", "logits"]]:
            raise ModelError(
                "expected a step that takes symbol, h and c and returns logits, h and c, got "
                f"{', '.join(ends[0]) or 'nothing'} and {', '.join(ends[1]) or 'nothing'}"
            )
        self._run = self._interpreter.get_signature_runner("serving_default")
        self._in, self._out = self._run.get_input_details(), self._run.get_output_details()
        self._symbols = int(self._in["symbol"]["shape"][-1])
        self._streams = streams

    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the state before the first symbol, (streams, units) twice: codes of zero."""
        return tuple(
            np.full((self._streams, d["shape"][-1]), d["quantization"][1], d["dtype"])
            for d in (self._in["h"], self._in["c"])
        )

    def step(
        self, symbol: np.ndarray, h: np.ndarray, c: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scores, float32 (streams, symbols), and the new state in the file's own type.

        Parameters
        ----------
        symbol : integers, (streams,).
        h, c : from `start` or from the step before.
        """
        one_hot = np.eye(self._symbols, dtype=np.float32)[symbol]
        if self._in["symbol"]["dtype"] != np.float32:
            scale, zero = self._in["symbol"]["quantization"]
            limits = np.iinfo(self._in["symbol"]["dtype"])
            codes = np.round(one_hot / scale) + zero
            one_hot = codes.clip(limits.min, limits.max).astype(limits.dtype)
        found = self._run(symbol=one_hot, h=h, c=c)
        logits = found["logits"]
        if logits.dtype != np.float32:
            scale, zero = self._out["logits"]["quantization"]
            logits = (logits.astype(np.float32) - zero) * scale
        return logits, found["h"], found["c"]
