"""The exercises of notebook 07."""

from __future__ import annotations

from edge_course.check import Exercise

EXERCISES: tuple[Exercise, ...] = ()
