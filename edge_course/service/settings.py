"""What can be set in a service."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How a service behaves.

    Attributes
    ----------
    batch : the most inputs that are computed at once.
    wait : seconds that a request may wait for others to share its batch.
    waiting : the most requests that wait; one more is refused at once.
    deadline : seconds from a request's arrival; an answer that is not ready then is not given.
    threads : that compute.
    takes : seconds that an input takes at least: a slower device, emulated.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Taught in: notebooks/21_edge_service.ipynb
    """

    batch: int = 8
    wait: float = 0.0
    waiting: int = 64
    deadline: float = 1.0
    threads: int = 1
    takes: float = 0.0

    def __post_init__(self):
        for name in ("batch", "waiting", "threads"):
            if not isinstance(number := getattr(self, name), int) or number < 1:
                raise ValueError(f"{name}: expected a whole number from 1, got {number!r}")
        if not 0 < self.deadline < math.inf:
            raise ValueError(f"deadline: expected a positive number, got {self.deadline!r} s")
        for name in ("wait", "takes"):
            if not 0 <= (seconds := getattr(self, name)) < self.deadline:
                raise ValueError(
                    f"{name}: expected 0 to less than the deadline of {self.deadline:g} s, "
                    f"got {seconds!r} s"
                )
