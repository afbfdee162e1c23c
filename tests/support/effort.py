"""How many random inputs a test tries: few by default, many with --thorough."""

import os


def effort(quick: int, thorough: int) -> int:
    """Return the number of random inputs to try."""
    return thorough if os.environ.get("EDGE_COURSE_THOROUGH") else quick
