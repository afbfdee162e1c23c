"""Plausible wrong answers to every exercise: each is a mistake that a student makes."""

import importlib
import pkgutil

WRONG = {
    name: wrong
    for topic in pkgutil.iter_modules(__path__)
    for name, wrong in importlib.import_module(f"{__name__}.{topic.name}").WRONG.items()
}
