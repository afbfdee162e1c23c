"""Wrong answers to the exercises of notebook 14, each a mistake of its own."""

import itertools

import numpy as np

# bytes_across


def counts_every_reader(num_bytes, edges, head):
    return sum(num_bytes[w] for w, r in edges if w in head and r not in head)


def counts_all_that_the_head_writes(num_bytes, edges, head):
    return sum(num_bytes[n] for n in head)


def counts_both_directions(num_bytes, edges, head):
    return sum(num_bytes[w] for w in {w for w, r in edges if (w in head) != (r in head)})


def counts_what_the_tail_writes(num_bytes, edges, head):
    return sum(num_bytes[w] for w in {w for w, r in edges if w not in head})


def counts_only_the_last_of_the_head(num_bytes, edges, head):
    return num_bytes[max(head)] if head and len(head) < len(num_bytes) else 0


def leaves_out_what_the_head_reads_too(num_bytes, edges, head):
    crossing = {w for w, r in edges if w in head and r not in head}
    return sum(num_bytes[w] for w in crossing - {w for w, r in edges if r in head})


def counts_tensors_not_bytes(num_bytes, edges, head):
    return len({w for w, r in edges if w in head and r not in head})


# best_cut


def _chain(device, server, num_bytes, bandwidth, rtt, bits=8):
    count = len(device)
    seconds = [
        sum(device[:k]) + rtt + bits * num_bytes[k] / bandwidth + sum(server[k:])
        for k in range(count)
    ]
    return [*seconds, sum(device)]


def takes_bytes_for_bits(device, server, num_bytes, bandwidth, rtt):
    return int(np.argmin(_chain(device, server, num_bytes, bandwidth, rtt, bits=1)))


def forgets_the_round_trip(device, server, num_bytes, bandwidth, rtt):
    return int(np.argmin(_chain(device, server, num_bytes, bandwidth, 0)))


def sends_the_answer_too(device, server, num_bytes, bandwidth, rtt):
    seconds = _chain(device, server, num_bytes, bandwidth, rtt)
    seconds[-1] += rtt + 8 * num_bytes[-1] / bandwidth
    return int(np.argmin(seconds))


def takes_the_smallest_tensor(device, server, num_bytes, bandwidth, rtt):
    return int(np.argmin(num_bytes[: len(device)]))


def never_computes_all_on_the_device(device, server, num_bytes, bandwidth, rtt):
    return int(np.argmin(_chain(device, server, num_bytes, bandwidth, rtt)[:-1]))


def takes_the_next_tensor(device, server, num_bytes, bandwidth, rtt):
    shifted = [*num_bytes[1:], num_bytes[-1]]
    return int(np.argmin(_chain(device, server, shifted, bandwidth, rtt)))


def takes_the_last_of_equals(device, server, num_bytes, bandwidth, rtt):
    seconds = _chain(device, server, num_bytes, bandwidth, rtt)
    return max(k for k, s in enumerate(seconds) if s == min(seconds))


def forgets_the_server(device, server, num_bytes, bandwidth, rtt):
    return int(np.argmin(_chain(device, [0] * len(server), num_bytes, bandwidth, rtt)))


# least_seconds


def _tried(device, server, num_bytes, edges, bandwidth, rtt, *, back=False, each=False, bits=8):
    best, count = float("inf"), len(device)
    for chosen in itertools.product([False, True], repeat=count):
        if not back and any(chosen[r] and not chosen[w] for w, r in edges):
            continue
        crossing = [w for w, r in edges if chosen[w] and not chosen[r]]
        sent = sum(num_bytes[w] for w in (crossing if each else set(crossing)))
        seconds = sum(device[n] if chosen[n] else server[n] for n in range(count))
        best = min(best, seconds + bits * sent / bandwidth + (0 if all(chosen) else rtt))
    return best


def lets_results_come_back_for_nothing(device, server, num_bytes, edges, bandwidth, rtt):
    return _tried(device, server, num_bytes, edges, bandwidth, rtt, back=True)


def sends_to_every_reader(device, server, num_bytes, edges, bandwidth, rtt):
    return _tried(device, server, num_bytes, edges, bandwidth, rtt, each=True)


def forgets_eight_bits(device, server, num_bytes, edges, bandwidth, rtt):
    return _tried(device, server, num_bytes, edges, bandwidth, rtt, bits=1)


def forgets_the_rtt(device, server, num_bytes, edges, bandwidth, rtt):
    return _tried(device, server, num_bytes, edges, bandwidth, 0)


def always_adds_the_rtt(device, server, num_bytes, edges, bandwidth, rtt):
    return _tried(device, server, num_bytes, edges, bandwidth, 0) + rtt


def cuts_only_in_the_order_of_the_file(device, server, num_bytes, edges, bandwidth, rtt):
    best = sum(device)
    for k in range(len(device)):
        crossing = {w for w, r in edges if w < k <= r}
        seconds = sum(device[:k]) + sum(server[k:]) + rtt
        best = min(best, seconds + 8 * sum(num_bytes[w] for w in crossing) / bandwidth)
    return best


def takes_the_faster_machine_for_each(device, server, num_bytes, edges, bandwidth, rtt):
    here = {n for n in range(len(device)) if device[n] <= server[n]}
    crossing = {w for w, r in edges if w in here and r not in here}
    seconds = sum(min(pair) for pair in zip(device, server, strict=True))
    link = rtt + 8 * sum(num_bytes[w] for w in crossing) / bandwidth
    return seconds + (link if len(here) < len(device) else 0)


# tail_inputs


def _cut_at(reads, k):
    tail = list(reads)[k:]
    return tuple(sorted({name for writer in tail for name in reads[writer]} - set(tail)))


def _fewest(cuts, num_bytes):
    return min(cuts, key=lambda names: sum(num_bytes[name] for name in names))


def _ends(reads, most):
    return range(1, min(most, len(reads) - 1) + 1)


def takes_the_last_operators_output(reads, num_bytes, most):
    return _fewest([(list(reads)[k - 1],) for k in _ends(reads, most)], num_bytes)


def cuts_as_late_as_it_can(reads, num_bytes, most):
    return _cut_at(reads, min(most, len(reads) - 1))


def takes_the_last_of_equal_cuts(reads, num_bytes, most):
    return _fewest([_cut_at(reads, k) for k in reversed(_ends(reads, most))], num_bytes)


def may_send_the_picture(reads, num_bytes, most):
    return _fewest([_cut_at(reads, k) for k in (0, *_ends(reads, most))], num_bytes)


def counts_names_not_bytes(reads, num_bytes, most):
    return min((_cut_at(reads, k) for k in _ends(reads, most)), key=len)


def leaves_the_picture_out(reads, num_bytes, most):
    cuts = [_cut_at(reads, k) for k in _ends(reads, most)]
    return _fewest([tuple(n for n in names if n != "image") for names in cuts], num_bytes)


def leaves_nothing_for_the_tail(reads, num_bytes, most):
    return _fewest([_cut_at(reads, k) for k in range(1, min(most, len(reads)) + 1)], num_bytes)


def takes_the_order_of_the_file(reads, num_bytes, most):
    order = ["image", *reads]
    best = _fewest([_cut_at(reads, k) for k in _ends(reads, most)], num_bytes)
    return tuple(sorted(best, key=order.index))


WRONG = {
    "tail_inputs": [
        takes_the_last_operators_output,
        cuts_as_late_as_it_can,
        takes_the_last_of_equal_cuts,
        may_send_the_picture,
        counts_names_not_bytes,
        leaves_the_picture_out,
        leaves_nothing_for_the_tail,
        takes_the_order_of_the_file,
    ],
    "bytes_across": [
        counts_every_reader,
        counts_all_that_the_head_writes,
        counts_both_directions,
        counts_what_the_tail_writes,
        counts_only_the_last_of_the_head,
        leaves_out_what_the_head_reads_too,
        counts_tensors_not_bytes,
    ],
    "best_cut": [
        takes_bytes_for_bits,
        forgets_the_round_trip,
        sends_the_answer_too,
        takes_the_smallest_tensor,
        never_computes_all_on_the_device,
        takes_the_next_tensor,
        takes_the_last_of_equals,
        forgets_the_server,
    ],
    "least_seconds": [
        lets_results_come_back_for_nothing,
        sends_to_every_reader,
        forgets_eight_bits,
        forgets_the_rtt,
        always_adds_the_rtt,
        cuts_only_in_the_order_of_the_file,
        takes_the_faster_machine_for_each,
    ],
}
