"""A network in a web page: its C as WebAssembly, in one file that asks nobody for anything.

WebAssembly is the machine code of browsers (W3C recommendation, https://www.w3.org/TR/wasm-core-1/).
"""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template
from threading import Thread

import numpy as np

from edge_course.microcontroller.compiler import CSource, compile_c
from edge_course.microcontroller.to_c import to_c
from edge_course.runtimes import tflite_file
from edge_course.runtimes.model_files import ModelError

EXPORTS = ("model_run", "model_input", "model_output")
PAGE = """\
<!doctype html>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
  script-src 'unsafe-inline' 'wasm-unsafe-eval'">
<title>A network in a page</title>
<style>
  body { font: 16px sans-serif; margin: 2em; color: #111; background: #fff; }
  main { display: flex; gap: 2em; flex-wrap: wrap; }
  #pad { width: 280px; height: 280px; image-rendering: pixelated; touch-action: none; }
  #pictures canvas { width: 42px; height: 42px; cursor: pointer; margin: 2px; }
  td { padding: 2px 8px; } td div { background: #0072b2; height: 14px; }
  .best { font-weight: bold; } .best div { background: #d55e00; }
</style>
<h1>$bytes bytes of WebAssembly</h1>
<p>Choose a picture, or draw one. Nothing leaves this page.</p>
<main>
  <div><canvas id="pad" width="$width" height="$height"></canvas><br>
    <button id="clear">Clear</button> <span id="time"></span></div>
  <table id="scores"></table>
</main>
<p id="pictures"></p>
<script>
const labels = $labels, pictures = $pictures, quantization = $quantization;
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const {exports} = new WebAssembly.Instance(new WebAssembly.Module(bytes("$wasm")));
const memory = () => new DataView(exports.memory.buffer);
const place = name => memory().getInt32(exports[name].value, true);

// Codes in, codes out.
function run(codes) {
  new Int8Array(exports.memory.buffer, place("model_input"), codes.length).set(codes);
  exports.model_run();
  return new Int8Array(exports.memory.buffer, place("model_output"), labels.length).slice();
}

const pad = document.getElementById("pad"), pen = pad.getContext("2d", {willReadFrequently: true});

function show() {
  const pixels = pen.getImageData(0, 0, $width, $height).data;  // red, green, blue, opacity
  const {scale, zero} = quantization.input;
  const codes = Int8Array.from({length: $width * $height}, (_, i) =>
    Math.max(-128, Math.min(127, Math.round(pixels[4 * i] / 255 / scale) + zero)));
  const start = performance.now();
  for (let i = 0; i < 20; i++) run(codes);
  const milliseconds = (performance.now() - start) / 20;
  const scores = [...run(codes)], best = scores.indexOf(Math.max(...scores));
  document.getElementById("time").textContent = milliseconds.toFixed(2) + " ms a picture";
  document.getElementById("scores").innerHTML = scores.map((q, i) => {
    const score = quantization.output.scale * (q - quantization.output.zero);
    return `<tr class="$${i == best ? "best" : ""}"><td>$${labels[i]}<td>$${score.toFixed(1)}` +
      `<td><div style="width: $${q + 128}px"></div>`;
  }).join("");
}

function paint(canvas, grey) {
  const image = new ImageData($width, $height);
  grey.forEach((g, i) => image.data.set([g, g, g, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function clear() { paint(pad, new Uint8Array($width * $height)); show(); }

pad.onpointermove = event => {
  if (!event.buttons) return;
  pen.fillStyle = "white";
  pen.fillRect(event.offsetX * $width / pad.clientWidth - 1,
               event.offsetY * $height / pad.clientHeight - 1, 2, 2);
  show();
};
document.getElementById("clear").onclick = clear;
for (const text of pictures) {
  const small = document.createElement("canvas");
  [small.width, small.height] = [$width, $height];
  paint(small, bytes(text));
  small.onclick = () => { paint(pad, bytes(text)); show(); };
  document.getElementById("pictures").append(small);
}
clear();
</script>
"""


def to_wasm(source: CSource) -> bytes:
    """Return a network's C as WebAssembly.

    It exports ``memory``, ``model_run``, and where ``model_input`` and ``model_output`` stand.

    Parameters
    ----------
    source : the network.

    Raises
    ------
    edge_course.microcontroller.compiler.CompileError
        If it does not compile.

    Taught in: notebooks/21_edge_service.ipynb
    """
    exports = [f"-Wl,--export={name}" for name in EXPORTS]
    flags = ["-target", "wasm32-freestanding", "-O2", "-nostdlib", "-Wl,--no-entry"]
    return compile_c(source.files, [*flags, "-Wl,--strip-all", *exports])


def web_page(model: bytes | str | os.PathLike, labels: Sequence[str], pictures: np.ndarray) -> str:
    """Return a page in which a network answers for pictures that are chosen or drawn.

    Parameters
    ----------
    model : an int8 ``.tflite`` file of grey pictures, given by its content or its path.
    labels : names of the classes, one for each score.
    pictures : examples, uint8 (n, height, width), 0 is black.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If `to_c` refuses the file, or its input is no grey picture.
    ValueError
        If the pictures or the labels do not suit the network.

    Taught in: notebooks/21_edge_service.ipynb
    """
    source, graph = to_c(model), tflite_file.read_tflite(model)
    (given,), (wanted,) = graph.inputs, graph.outputs
    if len(given.shape) != 4 or given.shape[3] != 1:
        raise ModelError(f"expected an input of grey pictures (1, height, width, 1): {given.shape}")
    _, height, width, _ = given.shape
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (height, width):
        raise ValueError(
            f"expected pictures, uint8 (n, {height}, {width}), got {pictures.dtype} "
            f"{pictures.shape}"
        )
    if len(labels) != source.output_bytes:
        raise ValueError(f"expected {source.output_bytes} labels, got {len(labels)}")
    wasm = to_wasm(source)
    ends = {"input": given, "output": wanted}
    return Template(PAGE).substitute(
        bytes=f"{len(wasm):,}", width=width, height=height, wasm=_text(wasm),
        labels=_script([html.escape(label) for label in labels]),
        pictures=_script([_text(picture.tobytes()) for picture in pictures]),
        quantization=_script(
            {e: {"scale": float(t.scales[0]), "zero": int(t.zero_points[0])}
             for e, t in ends.items()}
        ),
    )  # fmt: skip


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _script(value: object) -> str:
    """Return a value as JavaScript, in which nothing ends the script it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


@contextmanager
def served(page: str) -> Iterator[str]:
    """Serve a page on this machine alone as long as the block lasts, and give its address.

    Taught in: notebooks/21_edge_service.ipynb
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = page.encode()
            with suppress(ConnectionError):  # a tab may be closed while it loads
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()
