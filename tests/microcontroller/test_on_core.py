"""One function in C on an emulated core: the rescaling, and what a beginner's C does."""

import numpy as np
import pytest

from edge_course.microcontroller.compiler import CompileError
from edge_course.microcontroller.emulator import CoreError
from edge_course.microcontroller.on_core import call_c, rescale_on_core
from edge_course.quantization.fixed_point import rescale_twice
from tests.support.effort import effort


def test_the_core_rescales_as_the_engine_does() -> None:
    random = np.random.default_rng(0)
    for _ in range(effort(300, 10_000)):
        shift = int(random.integers(-31, 31))
        limit = 2 ** int(random.integers(1, 32 - max(shift, 0)))
        x, multiplier = int(random.integers(-limit, limit)), int(random.integers(2**30, 2**31))
        expected = int(rescale_twice(np.array(x), np.array(multiplier), np.array(shift)))
        assert rescale_on_core(x, multiplier, shift) == expected, (x, multiplier, shift)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return x;", 1000),  # parameters that are not used yet
        ("return (int32_t)((int64_t)x * m / (1LL << s));", 437),  # divided by a function
        ("return (int32_t)(x * 0.5 + m);", 507),  # the core has no floating-point unit
        ("int32_t a[40] = {0}; a[s] = x; return a[s] + a[m];", 1000),
        ("static int32_t calls; return ++calls;", 1),  # the chip starts anew every time
    ],
)
def test_what_is_plain_c_runs(body, expected) -> None:
    source = f"int32_t f(int32_t x, int32_t m, int32_t s) {{ {body} }}"
    assert [call_c(source, "f", 1000, 7, 4) for _ in range(2)] == [expected, expected]


def test_what_is_wrong_is_told_at_once() -> None:
    with pytest.raises(CompileError, match=r"yours\.c:2:\d+: error: expected ';'"):
        call_c("int32_t f(int32_t x) {\n return x }", "f", 1)
    with pytest.raises(CompileError, match="undeclared identifier 'f'"):
        call_c("int32_t g(int32_t x) { return x; }", "f", 1)
    for _ in range(2):  # the first must not be running any more
        with pytest.raises(CoreError, match=r"f: no end after 0\.5 s, .* in f \+ \d+"):
            call_c('int32_t f(int32_t x) { while (x) __asm__(""); return x; }', "f", 1)


@pytest.mark.parametrize(
    "head",
    [
        "int32_t f(int32_t a, int32_t b)",  # what is not given would be what the register holds
        "int32_t f(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e)",
        "int64_t f(int32_t a)",
        "int32_t f(int64_t a)",
        "float f(int32_t a)",
    ],
)
def test_a_function_of_another_type_is_refused(head) -> None:
    with pytest.raises(CompileError, match="incompatible"):
        call_c(head + " { return (int32_t)a; }", "f", 1)
