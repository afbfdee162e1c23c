"""The exercises of notebook 05_crossing_frameworks."""

from __future__ import annotations

from edge_course.check import Exercise

EXERCISES: tuple[Exercise, ...] = ()
