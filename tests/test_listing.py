"""Listings show a summary and the source, and can be read on a page of any colour."""

import re

import pytest

from edge_course import listing


def double(values):
    """Return twice the values.

    Parameters
    ----------
    values : numbers.
    """
    # Not three times.
    return 2 * values


class Pair:
    """Two numbers
    that belong together.

    They are never equal.
    """

    first = 1

    def swap(self):
        """Exchange them.

        Afterwards the second is first.
        """

    def total(self):
        """Return their sum."""
        return """a string
with an empty line

in it"""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    displayed: list[dict] = []
    monkeypatch.setattr(listing, "display", lambda data, raw: displayed.append(data))
    return displayed


def test_of_a_docstring_the_summary_is_shown(shown) -> None:
    listing.show(double)
    assert shown[0]["text/plain"].splitlines() == [
        "def double(values):",
        '    """Return twice the values."""',
        "    # Not three times.",
        "    return 2 * values",
    ]


def test_the_whole_docstring_on_request(shown) -> None:
    listing.show(double, whole=True)
    assert "Parameters" in shown[0]["text/plain"]


def test_a_class_and_its_methods_are_shortened_and_nothing_else(shown) -> None:
    listing.show(Pair)
    text = shown[0]["text/plain"]
    assert '"""Two numbers\n    that belong together."""\n\n    first = 1' in text
    assert '"""Exchange them."""' in text
    assert "Afterwards" not in text and "never equal" not in text
    assert 'with an empty line\n\nin it"""' in text
    compile(text, "listing", "exec")


def test_a_solution_is_folded(shown) -> None:
    listing.show_folded(double, "Two < three.")
    assert shown[0]["text/html"].startswith("<details><summary>A solution: double")
    assert "Two &lt; three." in shown[0]["text/html"]
    assert shown[0]["text/plain"].endswith("return 2 * values\n\nTwo < three.")


def luminance(colour: str) -> float:
    """Relative luminance of a colour such as #0a0 or #00aa00, by WCAG 2.2."""
    digits = colour.lstrip("#")
    pairs = [d * 2 for d in digits] if len(digits) == 3 else re.findall("..", digits)
    parts = [int(pair, 16) / 255 for pair in pairs]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_listing_brings_its_colours_and_can_be_read_on_any_page(shown) -> None:
    """No colour has a contrast of 4.5 on white and on #111: so no text may lie on the page."""
    assert contrast("#000", "#fff") == pytest.approx(21)
    listing.show(listing._summarised)
    html = shown[0]["text/html"]
    background = re.match(r'<div class="highlight" style="background: (#\w+)">', html)[1]
    # JupyterLab gives every <pre> the colour of the page, if it has no background of its own.
    plain = re.search(r'<pre style="background: none; color: (#\w+)', html)[1]
    colours = {plain, *re.findall(r'<span style="color: (#\w+)[^>]*>[^<\s]', html)}
    assert len(colours) > 4
    assert min(contrast(colour, background) for colour in colours) >= 4.5
