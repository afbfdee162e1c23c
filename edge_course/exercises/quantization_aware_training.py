"""The exercises of notebook 09."""

from __future__ import annotations

from edge_course.check import Exercise

EXERCISES: tuple[Exercise, ...] = ()
