"""Messages between the parts of a split network: tensors as safetensors bytes with a header.

A message is

    "EC"            2 bytes     so that nothing else is taken for a message
    version         1 byte      of this layout
    kind            1 byte      request, reply or failure
    model           16 bytes    first half of the SHA-256 of the ``.onnx`` file that serves
    request         4 bytes     its number, which the reply repeats
    cut             1 + n bytes its length, its name in UTF-8
    parameters      1 + 5·n     how many; scale (float32) and zero point (int8) of each int8 tensor
    body            the tensors in safetensors format, or the text of a failure
    checksum        16 bytes    BLAKE2b of all bytes before

with all numbers little-endian. Nothing is unpickled. `decode` accepts exactly what `encode`
writes: whatever else comes is a `WireError`. The checksum finds damage, not malice: who wants
to forge a message can compute it too.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from edge_course.quantization import quant
from edge_course.runtimes import model_files

VERSION = 1
MESSAGE_KINDS = ("request", "reply", "failure")
DTYPES = {"float32": "F32", "float16": "F16", "int8": "I8"}  # here → in safetensors' header
MAX_BYTES = 64 * 2**20  # of a message; more is refused before anything is read
MAX_TENSORS, MAX_AXES, MAX_NAME, MAX_TEXT, MAX_HEADER = 16, 8, 255, 2000, 8192

_START = struct.Struct("<2sBB16sI")
_PARAMETERS = struct.Struct("<fb")
_CHECKSUM = 16


class WireError(ValueError):
    """A message is not one that this version of the course wrote, or it was altered."""


@dataclass(frozen=True)
class Message:
    """What one part of a network says to another.

    Attributes
    ----------
    kind : "request", "reply" or "failure".
    model : `fingerprint` of the ``.onnx`` file that serves, 32 hexadecimal digits.
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
    tensors: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    dtype: str = "float32"
    text: str = ""


def fingerprint(model: bytes | str | os.PathLike) -> str:
    """Return half the SHA-256 of a model file: by it both ends know that they mean the same.

    Parameters
    ----------
    model : the content of a model file, or its path.

    Returns
    -------
    str
        32 hexadecimal digits: 128 bits, so that no two files share them by accident.

    Raises
    ------
    ModelError
        If the file cannot be read.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    return hashlib.sha256(model_files.content(model)).hexdigest()[:32]


def encode(message: Message) -> bytes:
    """Return a message as bytes.

    int8 is affine with one scale and zero point for each tensor, from its smallest and largest
    number (`quant.asymmetric`): no calibration is needed, as they travel with the tensor.

    Parameters
    ----------
    message : its tensors are float32, whatever they are to be on the wire.

    Raises
    ------
    ValueError
        If it cannot be sent: an unknown kind or dtype, no tensors or too many, one that is not
        float32, empty, not finite, or too large for float16; a name that is too long; or more
        than `MAX_BYTES` in all.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    from safetensors.numpy import save

    parameters = b""
    if message.kind == "failure":
        text = "".join(c if c.isprintable() else " " for c in message.text) or "no reason given"
        body = text.encode(errors="replace")[:MAX_TEXT].decode(errors="ignore").encode()
    else:
        if message.dtype not in DTYPES:
            raise ValueError(f"expected a dtype of {', '.join(DTYPES)}, got {message.dtype!r}")
        _check_tensors(message.tensors)
        tensors = {}
        for name in sorted(message.tensors):
            x = np.asarray(message.tensors[name], order="C")
            if message.dtype == "int8":
                scale, zero_point = quant.asymmetric(x.min(), x.max())
                parameters += _PARAMETERS.pack(scale, zero_point)
                x = np.asarray(quant.quantize(x, scale, zero_point))
            with np.errstate(over="ignore"):  # said below
                tensors[name] = x.astype(message.dtype, copy=False)
            if not np.isfinite(tensors[name]).all():
                raise ValueError(f"{name!r} is too large for float16: send it as float32")
        body = save(tensors)
    start = _start(message) + bytes([len(parameters) // _PARAMETERS.size]) + parameters
    if len(start) + len(body) + _CHECKSUM > MAX_BYTES:
        raise ValueError(f"the message has more than {MAX_BYTES} bytes: send fewer at once")
    return sealed(start + body)


def sealed(content: bytes) -> bytes:
    """Return bytes with their checksum behind them."""
    return content + hashlib.blake2b(content, digest_size=_CHECKSUM).digest()


def decode(data: bytes) -> Message:
    """Return the message that bytes from a socket are.

    Parameters
    ----------
    data : all bytes of one message.

    Returns
    -------
    Message
        Its tensors are float32 again, whatever they were on the wire, and read-only.

    Raises
    ------
    WireError
        If `encode` did not write exactly these bytes.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    if not isinstance(data, bytes):
        raise WireError(f"a message is bytes, got {type(data).__name__}")
    if not _START.size + 2 + _CHECKSUM <= len(data) <= MAX_BYTES:
        raise WireError(f"a message of {len(data)} bytes: cut short, or longer than {MAX_BYTES}")
    if sealed(data[:-_CHECKSUM]) != data:
        raise WireError("the checksum is wrong: the message was altered or cut short; send it anew")
    magic, version, kind, model, request = _START.unpack_from(data)
    if magic != b"EC" or version != VERSION or kind >= len(MESSAGE_KINDS):
        raise WireError(
            f"not a message of version {VERSION} of this course (begins with {data[:4]!r}); "
            "both ends need the same version"
        )
    rest = memoryview(data)[_START.size : -_CHECKSUM]
    raw, rest = _counted(rest, 1)
    cut = _text(raw, "the name of the cut", MAX_NAME)
    raw, rest = _counted(rest, _PARAMETERS.size)
    parameters = list(_PARAMETERS.iter_unpack(raw))
    if MESSAGE_KINDS[kind] == "failure":
        if parameters:
            raise WireError("a failure has no tensors, so it has no scales either")
        text = _text(rest, "the text of a failure", MAX_TEXT)
        return Message("failure", model.hex(), cut, request, text=text)
    tensors, dtype = _tensors(bytes(rest), parameters)
    return Message(MESSAGE_KINDS[kind], model.hex(), cut, request, tensors, dtype)


def _start(message: Message) -> bytes:
    """Return what comes before the parameters, or say what cannot be sent."""
    cut = message.cut.encode()
    if message.kind not in MESSAGE_KINDS:
        raise ValueError(
            f"expected a message of kind {', '.join(MESSAGE_KINDS)}, got {message.kind!r}"
        )
    if not (0 < len(cut) <= MAX_NAME and message.cut.isprintable()):
        raise ValueError(f"the cut's name must have 1 to {MAX_NAME} bytes, got {message.cut!r}")
    try:
        model = bytes.fromhex(message.model)
        start = _START.pack(
            b"EC", VERSION, MESSAGE_KINDS.index(message.kind), model, message.request
        )
    except (ValueError, struct.error):
        start = model = b""
    if len(model) != 16:
        raise ValueError(
            "expected a model of 32 hexadecimal digits and a request from 0 to 2³² − 1, "
            f"got {message.model!r} and {message.request!r}"
        )
    return start + bytes([len(cut)]) + cut


def _check_tensors(tensors: Mapping[str, np.ndarray]) -> None:
    if not 1 <= len(tensors) <= MAX_TENSORS:
        raise ValueError(f"expected 1 to {MAX_TENSORS} tensors, got {len(tensors)}")
    for name, x in tensors.items():
        _check_name(name)
        if not isinstance(x, np.ndarray) or x.dtype != np.float32:
            kind = getattr(x, "dtype", type(x).__name__)
            raise ValueError(f"expected {name!r} to be a float32 array, got {kind}")
        if not x.size or x.ndim > MAX_AXES:
            raise ValueError(f"{name!r} is empty or has over {MAX_AXES} axes: shape {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(f"{name!r} has NaN or infinity in it, expected finite numbers")


def _check_name(name: str) -> None:
    if not (0 < len(name.encode()) <= MAX_NAME and name.isprintable() and name != "__metadata__"):
        raise ValueError(f"expected a tensor's name of 1 to {MAX_NAME} bytes, got {name!r}")


def _counted(rest: memoryview, size: int) -> tuple[memoryview, memoryview]:
    """Return as many items of a size as the first byte says, and what is behind them."""
    end = 1 + size * rest[0] if rest else 1
    if len(rest) < end:
        raise WireError(f"the header ends in the middle: {end} bytes expected, {len(rest)} there")
    return rest[1:end], rest[end:]


def _text(raw: memoryview, what: str, longest: int) -> str:
    try:
        text = str(raw, "utf-8")
    except UnicodeDecodeError:
        raise WireError(f"{what} is not UTF-8") from None
    if not 0 < len(raw) <= longest or not text.isprintable():
        raise WireError(f"{what} must be 1 to {longest} bytes of printable text")
    return text


def _tensors(
    body: bytes, parameters: list[tuple[float, int]]
) -> tuple[Mapping[str, np.ndarray], str]:
    """Return the tensors in safetensors bytes as float32, and what they were on the wire."""
    import safetensors
    from safetensors.numpy import save

    header = int.from_bytes(body[:8], "little")
    if len(body) < 8 or header > min(MAX_HEADER, len(body) - 8):
        raise WireError(f"a header of {header} bytes in {len(body)}: cut short, or too long")
    try:
        found = safetensors.deserialize(body)
    except (safetensors.SafetensorError, ValueError, OverflowError) as error:
        raise WireError(f"the body is not safetensors: {error}") from None
    dtypes = {tensor["dtype"] for _, tensor in found}
    dtype = next((ours for ours, theirs in DTYPES.items() if dtypes == {theirs}), None)
    if dtype is None:
        raise WireError(f"expected tensors of one dtype of {', '.join(DTYPES)}, got {dtypes}")
    try:
        as_sent = {
            name: np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
            for name, tensor in found
        }
        tensors = _as_real(as_sent, dtype, parameters)
        _check_tensors(tensors)
    except ValueError as error:
        raise WireError(f"the tensors cannot be used: {error}") from None
    # One content, one form: so nothing can hide in metadata, gaps, blanks or a name given twice.
    if save(as_sent) != body:
        raise WireError("the body is not in the form in which this course writes safetensors")
    for x in tensors.values():
        x.flags.writeable = False
    return MappingProxyType(tensors), dtype


def _as_real(
    tensors: Mapping[str, np.ndarray], dtype: str, parameters: list[tuple[float, int]]
) -> dict[str, np.ndarray]:
    names = sorted(tensors)
    if len(parameters) != (len(names) if dtype == "int8" else 0):
        raise ValueError(f"{len(parameters)} scales for {len(names)} tensors of {dtype}")
    if dtype != "int8":
        return {name: tensors[name].astype(np.float32) for name in names}
    with np.errstate(over="ignore"):  # an infinity is refused afterwards
        return {
            name: np.asarray(quant.dequantize(tensors[name], scale, zero_point))
            for name, (scale, zero_point) in zip(names, parameters, strict=True)
        }
