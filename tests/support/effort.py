"""How many random inputs a test tries: few by default, many with --thorough."""

import os


def effort(quick: int, thorough: int) -> int:
    """Return the thorough number if the run is a thorough one, else the quick one."""
    return thorough if os.environ.get("EDGE_COURSE_THOROUGH") else quick
