"""Wrong answers to the exercises of notebook 20."""

from edge_course.cost_models.activation_memory import lifetimes as right_lifetimes
from edge_course.microcontroller.memory_plan import ALIGNMENT
from edge_course.microcontroller.on_core import call_c


def outputs_end_early(steps):
    first, last = {}, {}
    for number, (read, written) in enumerate(steps):
        for tensor in [*read, *written]:
            first.setdefault(tensor, 0 if tensor in read else number)
            last[tensor] = number
    return {t: (first[t], last[t]) for t in first}


def input_begins_when_read(steps):
    first = {}
    for number, (read, written) in enumerate(steps):
        for tensor in [*read, *written]:
            first.setdefault(tensor, number)
    return {t: (first[t], last) for t, (_, last) in right_lifetimes(steps).items()}


def written_tensors_begin_a_step_later(steps):
    return {t: (first + (first > 0), last) for t, (first, last) in right_lifetimes(steps).items()}


def first_reader_ends_it(steps):
    last = {}
    for number, (read, _) in enumerate(steps):
        for tensor in read:
            last.setdefault(tensor, number)
    right = right_lifetimes(steps)
    return {t: (first, last.get(t, end)) for t, (first, end) in right.items()}


def everything_lives_to_the_end(steps):
    return {t: (first, len(steps) - 1) for t, (first, _) in right_lifetimes(steps).items()}


def _placed(tensors, order, together, gap=True, align=True):
    offsets = {}
    for name in order:
        new, offset = tensors[name], 0
        for other in sorted(offsets, key=offsets.get):
            there, begin = tensors[other], offsets[other]
            inside = offset < begin + there.bytes and begin < offset + new.bytes
            if together(new, there) and (inside or not gap):
                offset = begin + there.bytes
                offset = -(-offset // ALIGNMENT) * ALIGNMENT if align else offset
        offsets[name] = offset
    return offsets


def touching_in_time_is_allowed(tensors, order):
    return _placed(tensors, order, lambda a, b: a.first < b.last and b.first < a.last)


def nothing_is_shared(tensors, order):
    return _placed(tensors, order, lambda a, b: True)


def gaps_are_not_used(tensors, order):
    return _placed(tensors, order, lambda a, b: a.first <= b.last and b.first <= a.last, gap=False)


def order_is_ignored(tensors, order):
    return _placed(tensors, sorted(order), lambda a, b: a.first <= b.last and b.first <= a.last)


def everything_at_the_bottom(tensors, order):
    return dict.fromkeys(order, 0)


def _in_c(body):
    source = f"int32_t rescale(int32_t x, int32_t m, int32_t shift) {{ {body} }}"
    return lambda x, multiplier, shift: call_c(source, "rescale", x, multiplier, shift)


_LEFT = "int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift; "
_HIGH = _LEFT + "int32_t high = (int32_t)(((int64_t)(x << left) * m + (1 << 30)) >> 31); "


def overflows(x, multiplier, shift):
    return _in_c(_LEFT + "return ((x << left) * m) >> 31 >> right;")(x, multiplier, shift)


def rounds_down(x, multiplier, shift):
    body = _LEFT + "return (int32_t)(((int64_t)(x << left) * m) >> 31) >> right;"
    return _in_c(body)(x, multiplier, shift)


def second_rounding_is_forgotten(x, multiplier, shift):
    return _in_c(_HIGH + "return high >> right;")(x, multiplier, shift)


def rounds_once(x, multiplier, shift):
    body = (
        "int bits = 31 - shift; return (int32_t)(((int64_t)x * m + (1LL << (bits - 1))) >> bits);"
    )
    return _in_c(body)(x, multiplier, shift)


def halves_up_twice(x, multiplier, shift):
    body = _HIGH + "return right ? (high + (1 << (right - 1))) >> right : high;"
    return _in_c(body)(x, multiplier, shift)


WRONG = {
    "lifetimes": [
        outputs_end_early, input_begins_when_read, written_tensors_begin_a_step_later,
        first_reader_ends_it, everything_lives_to_the_end,
    ],
    "first_fit": [
        touching_in_time_is_allowed, nothing_is_shared, gaps_are_not_used, order_is_ignored,
        everything_at_the_bottom,
    ],
    "rescale_on_core": [
        overflows, rounds_down, second_rounding_is_forgotten, rounds_once, halves_up_twice,
    ],
}  # fmt: skip
