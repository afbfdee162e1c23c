"""A report as text: one fact a line."""

from __future__ import annotations

from edge_course.measure import Accuracy
from edge_course.report.facts import (
    ChipFit,
    Comparison,
    Contents,
    LayerErrors,
    ModelFacts,
    ReportFacts,
    Unknown,
    chip_fits,
)

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
MODELLED = (
    "modelled by the roofline with int8 arithmetic and published constants, not measured; "
    "float32 takes longer"
)
LONGEST_NAME = 60


def printable(name: str) -> str:
    """Return a name from a file on one line and short, without control characters."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: LONGEST_NAME - 1]}…"


def duration(seconds: float | Unknown) -> str:
    """Return a time in s, ms or µs."""
    if isinstance(seconds, Unknown):
        return str(seconds)
    size, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def report_sections(facts: ReportFacts) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return a report as sections: a heading, and rows of a subject and what is said of it."""
    sections = _model(facts.model, facts.samples)
    if facts.comparison is not None:
        other = facts.comparison.other
        sections.append((f"Against {printable(other.name)}", _comparison(facts)))
        sections += _model(other, facts.samples)
        sections.append(("Error of each layer", _layers(facts.comparison.layers)))
    return sections


def facts_text(facts: ReportFacts) -> str:
    """Return the whole report as text to print."""
    lines = []
    for heading, rows in report_sections(facts):
        width = max(len(subject) for subject, _ in rows)
        lines += ["", heading, *(f"  {subject:<{width}}  {said}" for subject, said in rows)]
    return "\n".join(lines[1:])


def _model(model: ModelFacts, samples: int) -> list[tuple[str, list[tuple[str, str]]]]:
    name = printable(model.name)
    rows = [
        ("format", model.format),
        ("file", f"{model.bytes:,} bytes, {model.gzip:,} after gzip"),
    ]
    time = model.microseconds
    latency = str(time) if isinstance(time, Unknown) else f"{time} µs, median and quartiles"
    rows.append(("latency, one thread", latency))
    if model.accuracy is not None:
        share = str(model.accuracy)
        if isinstance(model.accuracy, Accuracy):
            share += f" of {samples:,} inputs"
        rows.append(("accuracy", share))
    if isinstance(model.contents, Unknown):
        return [(name, [*rows, ("contents", str(model.contents))])]
    return [
        (name, rows + _contents(model.contents)),
        (f"Operators of {name}", _operators(model.contents)),
        (f"Chips for {name} ({MODELLED})", _chips(model.contents)),
    ]


def _contents(contents: Contents) -> list[tuple[str, str]]:
    macs = f"{contents.counted_macs:,}"
    if contents.not_counted:
        names = ", ".join(printable(o.name) for o in contents.not_counted)
        macs = f"unknown: at least {macs}; not counted: {names}"
    alive = contents.alive
    if isinstance(alive, Unknown):
        peak = str(alive)
    else:
        number = alive.index(max(alive)) + 1
        peak = f"{max(alive):,} bytes, at operator {number} of {len(alive)}"
    return [
        ("inputs", "; ".join(contents.inputs)),
        ("outputs", "; ".join(contents.outputs)),
        ("weights", f"{contents.weights:,} numbers, {contents.weight_bytes:,} bytes"),
        ("multiply-accumulates", macs),
        ("peak activation memory", peak),
    ]


def _operators(contents: Contents) -> list[tuple[str, str]]:
    def macs(known: int | Unknown) -> str:
        return f"not counted ({known.reason})" if isinstance(known, Unknown) else f"{known:,} MACs"

    return [(printable(o.name), f"{o.count:>4} × {macs(o.macs)}") for o in contents.operators]


def _chips(contents: Contents) -> list[tuple[str, str]]:
    def ram(fit: ChipFit) -> str:
        if isinstance(fit.runs, Unknown):
            return str(fit.runs)
        words = "fit" if fit.runs else "do not fit"
        return f"{words} ({max(contents.alive):,} of {fit.chip.ram_bytes:,.0f} bytes)"

    return [
        (
            fit.chip.name,
            f"weights {'fit' if fit.fits else 'do not fit'} "
            f"({contents.weight_bytes:,} of {fit.chip.memory_bytes:,.0f} bytes); "
            f"activations: {ram(fit)}; modelled time: {duration(fit.seconds)}",
        )
        for fit in chip_fits(contents)
    ]


def _comparison(facts: ReportFacts) -> list[tuple[str, str]]:
    comparison: Comparison = facts.comparison
    faster = comparison.faster
    smaller = comparison.other.bytes / facts.model.bytes
    rows = [
        ("smaller", f"{smaller:.2f} times"),
        (
            "faster",
            str(faster) if isinstance(faster, Unknown) else f"{faster} times, timed in turn",
        ),
    ]
    agreement = comparison.agreement
    if agreement is None:
        agreement = Unknown("it takes inputs; give some with --data")
    if not isinstance(agreement, Unknown):
        agreement = f"{100 * agreement:.2f} % of {facts.samples:,} inputs get the same class"
    return [*rows, ("agreement", str(agreement))]


def _layers(layers: LayerErrors | Unknown) -> list[tuple[str, str]]:
    if isinstance(layers, Unknown):
        return [("signal to noise", str(layers))]
    total = len(layers.matched) + len(layers.unmatched)
    return [
        ("matched by name", f"{len(layers.matched)} of {total} layers of the float32 file"),
        *((printable(name), f"{decibels:6.1f} dB") for name, decibels in layers.matched),
        *((printable(name) or "(no name)", "unmatched") for name in layers.unmatched),
    ]
