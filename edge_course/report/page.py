"""A report as one HTML page that needs nothing else: no script, no style sheet, no link."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from edge_course import plot
from edge_course.report.facts import Contents, LayerErrors, ReportFacts, Unknown, chip_fits
from edge_course.report.text import printable, report_sections

MOST_BARS = 40  # of layers, those furthest from float32: more would not fit a figure
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid #8888; overflow-wrap: anywhere; }
th { font-weight: 600; width: 16rem; }
figure { margin: 1.5rem 0; }
img { max-width: 100%; background: white; border-radius: .5rem; }
"""


def facts_page(facts: ReportFacts) -> str:
    """Return the whole report as an HTML page with its figures in it."""
    title = html.escape(f"Report on {printable(facts.model.name)}")
    body = [f"<h1>{title}</h1>"]
    for heading, rows in report_sections(facts):
        cells = "\n".join(
            f'<tr><th scope="row">{html.escape(subject)}</th><td>{html.escape(said)}</td></tr>'
            for subject, said in rows
        )
        body.append(f"<h2>{html.escape(heading)}</h2>\n<table>\n{cells}\n</table>")
    with mpl.rc_context():
        plot.use_style()
        body += [_embedded(*drawn) for drawn in _figures(facts)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _embedded(figure: Figure, description: str) -> str:
    """Return a figure as HTML, its PNG in the text, with the sentence as alternative text."""
    png = base64.b64encode(plot.described_png(figure, description)).decode()
    said = html.escape(description)
    return (
        f'<figure><img src="data:image/png;base64,{png}" alt="{said}">'
        f"<figcaption>{said}</figcaption></figure>"
    )


def _figures(facts: ReportFacts) -> Iterator[tuple[Figure, str]]:
    contents = facts.model.contents
    if not isinstance(contents, Unknown):
        if contents.counted_macs:
            yield _macs(contents)
        if not isinstance(contents.alive, Unknown):
            yield _alive(contents.alive)
        if not isinstance(contents.work, Unknown) and contents.work.macs:
            yield _chips(contents)
    layers = facts.comparison.layers if facts.comparison else None
    if isinstance(layers, LayerErrors):
        yield _layers(layers)


def _bars(names: Sequence[str], values: Sequence[float], label: str, colour: str) -> Figure:
    figure, axis = plt.subplots(figsize=(plot.WIDTH, 1.2 + 0.3 * len(names)))
    axis.barh(range(len(names)), values, color=colour)
    # A name from a file can hold a $, which would begin a formula.
    labels = [printable(name).replace("$", r"\$") for name in names]
    axis.set_yticks(range(len(names)), labels, fontsize=9)
    axis.invert_yaxis()
    axis.set_xlabel(label)
    return figure


def _macs(contents: Contents) -> tuple[Figure, str]:
    rows = [o for o in contents.operators if isinstance(o.macs, int) and o.macs]
    names, counts = [o.name for o in rows], [o.macs for o in rows]
    share = counts[0] / contents.counted_macs
    return _bars(names, counts, "multiply-accumulates", plot.BLUE), (
        f"{printable(names[0])} does {share:.0%} of the multiply-accumulates that are counted."
    )


def _alive(alive: tuple[int, ...]) -> tuple[Figure, str]:
    numbers, peak = np.arange(1, len(alive) + 1), max(alive)
    where = alive.index(peak)
    figure, axis = plt.subplots()
    colours = [plot.RED if n == where else plot.SKY for n in range(len(alive))]
    axis.bar(numbers, alive, color=colours)
    axis.set_xlabel("operator, in the order of the file")
    axis.set_ylabel("bytes of activations alive")
    return figure, f"Activations need the most memory, {peak:,} bytes, at operator {where + 1}."


def _chips(contents: Contents) -> tuple[Figure, str]:
    fits = chip_fits(contents)
    names = []
    for fit in fits:
        missing = [] if fit.fits else ["weights"]
        missing += ["activations"] if fit.runs is False else []
        unfit = f" — {' and '.join(missing)} do not fit" if missing else ""
        names.append(fit.chip.name + unfit)
    figure = _bars(names, [1e3 * fit.seconds for fit in fits], "modelled ms (log)", plot.ORANGE)
    figure.axes[0].set_xscale("log")
    fitting = sum(fit.fits for fit in fits)
    return figure, (
        f"Modelled, not measured: the time of one input on each chip; the weights fit "
        f"{fitting} of {len(fits)}."
    )


def _layers(layers: LayerErrors) -> tuple[Figure, str]:
    shown = [layer for layer in layers.matched if np.isfinite(layer.decibels)]
    limit = sorted(layer.decibels for layer in shown)[:MOST_BARS][-1] if shown else 0.0
    shown = [layer for layer in shown if layer.decibels <= limit]
    names, values = [layer.name for layer in shown], [layer.decibels for layer in shown]
    figure = _bars(names, values, "signal to noise (dB)", plot.GREEN)
    if not shown:
        return figure, "No layer that was matched by name has an error that is not zero."
    worst = min(shown, key=lambda layer: layer.decibels)
    return figure, (
        f"Of the layers matched by name, {printable(worst.name)} is the furthest from float32, "
        f"with {worst.decibels:.1f} dB."
    )
