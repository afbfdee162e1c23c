"""The exercises of notebook 06_when_conversion_fails."""

from __future__ import annotations

from edge_course.check import Exercise

EXERCISES: tuple[Exercise, ...] = ()
