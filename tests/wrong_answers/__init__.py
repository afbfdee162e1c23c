"""Plausible wrong answers to every exercise: each is a mistake that a student makes."""

import importlib
import pkgutil

WRONG = {}
for topic in pkgutil.iter_modules(__path__):
    answers = importlib.import_module(f"{__name__}.{topic.name}").WRONG
    assert not WRONG.keys() & answers.keys(), f"{topic.name}: {WRONG.keys() & answers.keys()} again"
    WRONG |= answers
