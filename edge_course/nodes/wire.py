"""Messages between the parts of a split network: a checksum, then safetensors.

safetensors holds the tensors. The rest is one entry of its metadata, in six lines: version, kind,
model, request, cut, and a scale and a zero point for each int8 tensor (in the order of their
names) or the text of a failure.

safetensors checks that the sizes fit; a flipped bit among the numbers, or in a shape or a scale,
goes through it. The checksum (CRC-32, 4 bytes, little-endian) finds that. It finds damage, not
malice: who wants to forge a message can compute it too. Nothing is unpickled, and `decode`
accepts exactly what `encode` writes: whatever else comes is a `WireError`.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edge_course.quantization import quant

MESSAGE_VERSION = "2"
MESSAGE_KINDS = ("request", "reply", "failure")
MESSAGE_DTYPES = ("float32", "float16", "int8")
MAX_BYTES = 64 * 2**20  # of a message; more is refused before anything is read
MAX_HEADER = 16_384  # of it: names, shapes and what else is no number
MAX_NAME, MAX_TEXT = 255, 2000
_ENTRY, _CHECKSUM = "edge_course", 4


class WireError(ValueError):
    """A message is not one that this version of the course wrote, or it was altered."""


@dataclass(frozen=True)
class Message:
    """What one part of a network says to another.

    Attributes
    ----------
    kind : "request", "reply" or "failure".
    model : `model_files.fingerprint` of the ``.onnx`` file that serves, 32 hexadecimal digits.
    cut : what the place is called at which the network is cut.
    request : number of the request, from 0 to 2³² − 1; the reply repeats it.
    tensors : name → float32, finite; none in a failure.
    dtype : what they are on the wire: "float32", "float16" or "int8".
    text : what went wrong, in a failure only.
    """

    kind: str
    model: str
    cut: str
    request: int
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    dtype: str = "float32"
    text: str = ""


def encode(message: Message) -> bytes:
    """Return a message as bytes.

    int8 is affine with one scale and zero point for each tensor, from its smallest and largest
    number (`quant.asymmetric`): no calibration is needed, as they travel with the tensor.

    Parameters
    ----------
    message : its tensors are float32, whatever they are to be on the wire. Of the text of a
        failure what is printable is sent, `MAX_TEXT` bytes at most.

    Raises
    ------
    ValueError
        If it cannot be sent: an unknown kind or dtype, no tensors, one that is not float32,
        empty, not finite, or too large for float16; a name that is too long; or more than
        `MAX_BYTES` in all.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    if message.kind == "failure":
        text = "".join(c if c.isprintable() else " " for c in message.text) or "no reason given"
        message = replace(message, text=text.encode()[:MAX_TEXT].decode(errors="ignore"))
    _check(message)
    scales, stored = [], {}
    for name, x in sorted(message.tensors.items()):
        if message.dtype == "int8":
            scales.append(quant.asymmetric(x.min(), x.max()))
            x = np.asarray(quant.quantize(x, *scales[-1]))
        with np.errstate(over="ignore"):  # said below
            stored[name] = np.asarray(x, message.dtype, order="C")
        if not np.isfinite(stored[name]).all():
            raise ValueError(f"{name!r} is too large for float16: send it as float32")
    return _sealed(_body(message, scales, stored))


def decode(data: bytes) -> Message:
    """Return the message that bytes from a socket are.

    Parameters
    ----------
    data : all bytes of one message.

    Returns
    -------
    Message
        Its tensors are float32 again, whatever they were on the wire.

    Raises
    ------
    WireError
        If `encode` did not write exactly these bytes.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if not isinstance(data, bytes):
        raise WireError(f"a message is bytes, got {type(data).__name__}")
    body = data[_CHECKSUM:]
    if not body or len(data) > MAX_BYTES:
        raise WireError(f"a message of {len(data)} bytes: cut short, or longer than {MAX_BYTES}")
    if _sealed(body) != data:
        raise WireError("the checksum is wrong: the message was altered or cut short; send it anew")
    if (header_bytes := _header_bytes(body)) > MAX_HEADER:
        raise WireError(f"a header of {header_bytes} bytes, expected at most {MAX_HEADER}")
    try:
        stored = load(body)
        metadata = json.loads(body[8 : 8 + header_bytes])["__metadata__"]
        version, kind, model, request, cut, rest = metadata[_ENTRY].split("\n")
    except (SafetensorError, ValueError, LookupError, OverflowError) as error:
        raise WireError(f"not a message in safetensors: {error!r}") from None
    if version != MESSAGE_VERSION:
        raise WireError(f"a message of version {version!r}: both ends need {MESSAGE_VERSION}")
    try:
        if kind == "failure":
            scales, message = [], Message(kind, model, cut, int(request), stored, text=rest)
        else:
            tensors, dtype, scales = _as_real(stored, rest)
            message = Message(kind, model, cut, int(request), tensors, dtype)
        _check(message)
        # One content, one form: nothing hides in blanks or in a name given twice.
        if _body(message, scales, stored) != body:
            raise ValueError("not in the form in which this course writes it")
    except (ValueError, OverflowError) as error:
        raise WireError(f"the message cannot be used: {error}") from None
    return message


def _sealed(body: bytes) -> bytes:
    """Return bytes with their checksum before them."""
    return zlib.crc32(body).to_bytes(_CHECKSUM, "little") + body


def _body(message: Message, scales: list[quant.Parameters], stored: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    rest = message.text or " ".join(str(number) for parameters in scales for number in parameters)
    lines = MESSAGE_VERSION, message.kind, message.model, f"{message.request:d}", message.cut, rest
    body = save(stored, {_ENTRY: "\n".join(lines)})
    if _header_bytes(body) > MAX_HEADER or len(body) + _CHECKSUM > MAX_BYTES:
        raise ValueError(
            f"the message has more than {MAX_BYTES} bytes, or names and shapes have more than "
            f"{MAX_HEADER}: send fewer at once"
        )
    return body


def _header_bytes(body: bytes) -> int:
    return int.from_bytes(body[:8], "little")


def _as_real(
    stored: dict[str, np.ndarray], rest: str
) -> tuple[dict[str, np.ndarray], str, list[quant.Parameters]]:
    """Return tensors as float32, what they were on the wire, and the scales that ``rest`` has."""
    dtypes = {x.dtype.name for x in stored.values()}
    if len(dtypes) != 1 or not dtypes <= set(MESSAGE_DTYPES):
        raise ValueError(f"expected tensors of one dtype of {', '.join(MESSAGE_DTYPES)}")
    if dtypes != {"int8"}:
        return {name: x.astype(np.float32) for name, x in stored.items()}, dtypes.pop(), []
    numbers = rest.split()
    if len(numbers) != 2 * len(stored):
        raise ValueError(f"{len(numbers)} scales and zero points for {len(stored)} int8 tensors")
    scales = [
        quant.Parameters(np.float32(scale), np.int8(zero_point))
        for scale, zero_point in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    with np.errstate(over="ignore"):  # an infinity is refused afterwards
        tensors = {
            name: np.asarray(quant.dequantize(stored[name], *parameters))
            for name, parameters in zip(sorted(stored), scales, strict=True)
        }
    return tensors, "int8", scales


def _check(message: Message) -> None:
    """Raise a ValueError that says what cannot be sent, if anything cannot."""
    if message.kind not in MESSAGE_KINDS or message.dtype not in MESSAGE_DTYPES:
        raise ValueError(
            f"expected a message of kind {', '.join(MESSAGE_KINDS)} and a dtype of "
            f"{', '.join(MESSAGE_DTYPES)}, got {message.kind!r} and {message.dtype!r}"
        )
    if not re.fullmatch("[0-9a-f]{32}", str(message.model)) or message.request not in range(2**32):
        raise ValueError(
            "expected a model of 32 hexadecimal digits and a request from 0 to 2³² − 1, "
            f"got {message.model!r} and {message.request!r}"
        )
    check_cut(message.cut)
    if message.kind == "failure":
        _check_text("the text of a failure", message.text, MAX_TEXT)
    if bool(message.tensors) == (message.kind == "failure"):
        raise ValueError("expected tensors, and in a failure none")
    for name, x in message.tensors.items():
        _check_text("a tensor's name", name, MAX_NAME)
        if name == "__metadata__":
            raise ValueError(f"a tensor's name cannot be {name!r}: safetensors uses it")
        if not isinstance(x, np.ndarray) or x.dtype != np.float32:
            kind = getattr(x, "dtype", type(x).__name__)
            raise ValueError(f"expected {name!r} to be a float32 array, got {kind}")
        if not x.size:
            raise ValueError(f"{name!r} is empty: it has the shape {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(f"{name!r} has NaN or infinity in it, expected finite numbers")


def check_cut(name: str) -> None:
    """Raise a ValueError if a cut's name cannot be sent."""
    _check_text("the cut's name", name, MAX_NAME)


def _check_text(what: str, text: str, longest: int) -> None:
    if not (text.isprintable() and 0 < len(text.encode()) <= longest):
        raise ValueError(f"{what} must have 1 to {longest} bytes, all printable, got {text!r}")
