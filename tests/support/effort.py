"""How many random inputs a test tries: few by default, many with --thorough."""

import os


def thorough() -> bool:
    """Tell whether the tests were started with --thorough."""
    return "EDGE_COURSE_THOROUGH" in os.environ


def effort(quick: int, many: int) -> int:
    """Return the quick number, or with --thorough the other one."""
    return many if thorough() else quick
