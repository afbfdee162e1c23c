"""Plausible wrong answers to the exercises of notebook 01, each a mistake of its own."""

import math
from collections.abc import Callable


def forgets_the_8_bits_of_a_byte(num_bytes, bandwidth, rtt):
    return rtt + num_bytes / bandwidth


def divides_by_8(num_bytes, bandwidth, rtt):
    return rtt + num_bytes / 8 / bandwidth


def forgets_the_round_trip(num_bytes, bandwidth, rtt):
    return 8 * num_bytes / bandwidth


def doubles_the_round_trip(num_bytes, bandwidth, rtt):
    return 2 * rtt + 8 * num_bytes / bandwidth


def takes_the_longer_instead_of_the_sum(num_bytes, bandwidth, rtt):
    return max(rtt, 8 * num_bytes / bandwidth)


def divides_without_remainder(num_bytes, bandwidth, rtt):
    return rtt + 8 * num_bytes // bandwidth


def counts_1024_bits_in_a_kilobit(num_bytes, bandwidth, rtt):
    return rtt + 8 * num_bytes / (bandwidth * 1.024)


def returns_milliseconds(num_bytes, bandwidth, rtt):
    return 1000 * (rtt + 8 * num_bytes / bandwidth)


def break_even_in_bytes(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds - remote_seconds - rtt
    return num_bytes / left if left > 0 else math.inf


def break_even_negative_when_impossible(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds - remote_seconds - rtt
    return 8 * num_bytes / left if left else math.inf


def break_even_divides_by_zero(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds - remote_seconds - rtt
    return 8 * num_bytes / left if left >= 0 else math.inf


def break_even_without_the_round_trip(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds - remote_seconds
    return 8 * num_bytes / left if left > 0 else math.inf


def break_even_with_an_infinitely_fast_server(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds - rtt
    return 8 * num_bytes / left if left > 0 else math.inf


def break_even_zero_when_impossible(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds - remote_seconds - rtt
    return 8 * num_bytes / left if left > 0 else 0.0


def break_even_with_a_wrong_sign(num_bytes, local_seconds, remote_seconds, rtt):
    left = local_seconds + remote_seconds - rtt
    return 8 * num_bytes / left if left > 0 else math.inf


def queue_counts_the_service_too(arrival_rate, service_seconds):
    busy = arrival_rate * service_seconds
    return service_seconds / (1 - busy) if busy < 1 else math.inf


def queue_counts_waiting_requests(arrival_rate, service_seconds):
    busy = arrival_rate * service_seconds
    return busy**2 / (1 - busy) if busy < 1 else math.inf


def queue_that_never_overflows(arrival_rate, service_seconds):
    busy = arrival_rate * service_seconds
    return busy * service_seconds / (1 - busy)


def queue_overflows_to_zero(arrival_rate, service_seconds):
    busy = arrival_rate * service_seconds
    return busy * service_seconds / (1 - busy) if busy < 1 else 0.0


def queue_of_regular_services(arrival_rate, service_seconds):  # M/D/1: half of it
    busy = arrival_rate * service_seconds
    return busy * service_seconds / (2 * (1 - busy)) if busy < 1 else math.inf


def queue_grows_evenly(arrival_rate, service_seconds):
    busy = arrival_rate * service_seconds
    return busy * service_seconds if busy < 1 else math.inf


def queue_takes_the_time_for_a_rate(arrival_rate, service_seconds):
    busy = arrival_rate / max(service_seconds, 1e-9)
    return busy * service_seconds / (1 - busy) if busy < 1 else math.inf


def roof_of_the_larger(peak, memory_bandwidth, intensity):
    return max(peak, intensity * memory_bandwidth)


def roof_without_memory(peak, memory_bandwidth, intensity):
    return peak


def roof_without_arithmetic(peak, memory_bandwidth, intensity):
    return intensity * memory_bandwidth


def roof_divides_by_the_intensity(peak, memory_bandwidth, intensity):
    return min(peak, memory_bandwidth / intensity) if intensity else 0.0


def roof_forgets_the_intensity(peak, memory_bandwidth, intensity):
    return min(peak, memory_bandwidth)


def roof_scales_the_peak(peak, memory_bandwidth, intensity):
    return min(peak * intensity, memory_bandwidth * intensity)


def roof_as_a_mean_of_both(peak, memory_bandwidth, intensity):
    memory = intensity * memory_bandwidth
    return peak * memory / (peak + memory)


def chain_of_the_weakest_link(availabilities):
    return min(availabilities)


def chain_as_a_mean(availabilities):
    return sum(availabilities) / len(availabilities)


def chain_adds_the_failures(availabilities):
    return 1 - sum(1 - share for share in availabilities)


def chain_where_one_link_is_enough(availabilities):
    return 1 - math.prod(1 - share for share in availabilities)


def chain_of_the_failures(availabilities):
    return 1 - math.prod(availabilities)


def chain_returns_after_the_first_link(availabilities):
    product = 1.0
    for share in availabilities:
        product *= share
        return product


def chain_changes_its_input(availabilities):
    product = 1.0
    while availabilities:
        product *= availabilities.pop()
    return product


WRONG: dict[str, list[Callable]] = {
    "transfer_time": [
        forgets_the_8_bits_of_a_byte, divides_by_8, forgets_the_round_trip, doubles_the_round_trip,
        takes_the_longer_instead_of_the_sum, divides_without_remainder,
        counts_1024_bits_in_a_kilobit, returns_milliseconds,
    ],
    "break_even_bandwidth": [
        break_even_in_bytes, break_even_negative_when_impossible, break_even_divides_by_zero,
        break_even_without_the_round_trip, break_even_with_an_infinitely_fast_server,
        break_even_zero_when_impossible, break_even_with_a_wrong_sign,
    ],
    "queue_wait": [
        queue_counts_the_service_too, queue_counts_waiting_requests, queue_that_never_overflows,
        queue_overflows_to_zero, queue_of_regular_services, queue_grows_evenly,
        queue_takes_the_time_for_a_rate,
    ],
    "attainable": [
        roof_of_the_larger, roof_without_memory, roof_without_arithmetic,
        roof_divides_by_the_intensity, roof_forgets_the_intensity, roof_scales_the_peak,
        roof_as_a_mean_of_both,
    ],
    "chain_availability": [
        chain_of_the_weakest_link, chain_as_a_mean, chain_adds_the_failures,
        chain_where_one_link_is_enough, chain_of_the_failures, chain_returns_after_the_first_link,
        chain_changes_its_input,
    ],
}  # fmt: skip
