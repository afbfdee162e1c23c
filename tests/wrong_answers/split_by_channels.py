"""Plausible wrong answers to the exercises of notebook 15, each a mistake of its own."""

from collections.abc import Callable

from edge_course.split_channels import torchrun


def exchanges_always(divisions):
    return tuple("sum" if d == "input" else "gather" for d in divisions)


def exchanges_the_wrong_way_round(divisions):
    return tuple("gather" if d == "input" else "sum" for d in divisions)


def exchanges_forgets_the_end(divisions):
    return tuple(
        "sum" if d == "input" else "gather" if "output" in divisions[i + 1 : i + 2] else "nothing"
        for i, d in enumerate(divisions)
    )


def exchanges_nothing_between_outputs(divisions):
    return tuple(
        "sum" if d == "input" else "gather" if i == len(divisions) - 1 else "nothing"
        for i, d in enumerate(divisions)
    )


def exchanges_nothing_before_any_input(divisions):
    return tuple(
        "nothing" if "input" in divisions[i + 1 : i + 2] else "sum" if d == "input" else "gather"
        for i, d in enumerate(divisions)
    )


def exchanges_looks_at_the_layer_before(divisions):
    return tuple(
        "sum" if d == "input" else "nothing" if i and divisions[i - 1] == "input" else "gather"
        for i, d in enumerate(divisions)
    )


def bytes_of_the_whole(exchange, num_bytes, workers):
    return {"gather": 1, "sum": 2, "nothing": 0}[exchange] * num_bytes


def bytes_of_one_share(exchange, num_bytes, workers):
    return {"gather": 1, "sum": 2, "nothing": 0}[exchange] * num_bytes / workers


def bytes_sum_like_gather(exchange, num_bytes, workers):
    return 0 if exchange == "nothing" else (workers - 1) * num_bytes / workers


def bytes_of_all_workers(exchange, num_bytes, workers):
    return {"gather": 1, "sum": 2, "nothing": 0}[exchange] * (workers - 1) * num_bytes


def bytes_with_a_step_too_many(exchange, num_bytes, workers):
    return {"gather": workers, "sum": 2 * workers - 1, "nothing": 0}[exchange] * num_bytes / workers


def bytes_for_nothing(exchange, num_bytes, workers):
    return {"sum": 2}.get(exchange, 1) * (workers - 1) * num_bytes / workers


def bytes_gather_sends_everyone_the_own_share_as_if_whole(exchange, num_bytes, workers):
    return {"gather": 1, "sum": 2 / workers, "nothing": 0}[exchange] * (workers - 1) * num_bytes


def amdahl_without_the_link(serial_seconds, divided_seconds, exchange_seconds, workers):
    alone = serial_seconds + divided_seconds
    return alone / (serial_seconds + divided_seconds / workers)


def divides_the_serial_part_too(serial_seconds, divided_seconds, exchange_seconds, workers):
    alone = serial_seconds + divided_seconds
    return alone / (alone / workers + (exchange_seconds if workers > 1 else 0))


def divides_the_exchange_too(serial_seconds, divided_seconds, exchange_seconds, workers):
    alone = serial_seconds + divided_seconds
    shared = divided_seconds + (exchange_seconds if workers > 1 else 0)
    return alone / (serial_seconds + shared / workers)


def exchanges_alone(serial_seconds, divided_seconds, exchange_seconds, workers):
    alone = serial_seconds + divided_seconds
    return alone / (serial_seconds + divided_seconds / workers + exchange_seconds)


def exchanges_before_and_after(serial_seconds, divided_seconds, exchange_seconds, workers):
    exchange = exchange_seconds if workers > 1 else 0
    alone = serial_seconds + divided_seconds
    return (alone + exchange) / (serial_seconds + divided_seconds / workers + exchange)


def upside_down(serial_seconds, divided_seconds, exchange_seconds, workers):
    exchange = exchange_seconds if workers > 1 else 0
    alone = serial_seconds + divided_seconds
    return (serial_seconds + divided_seconds / workers + exchange) / alone


def never_below_one(serial_seconds, divided_seconds, exchange_seconds, workers):
    exchange = exchange_seconds if workers > 1 else 0
    alone = serial_seconds + divided_seconds
    return max(1.0, alone / (serial_seconds + divided_seconds / workers + exchange))


def torchrun_without_texts(processes, machines, rank, address):
    return ("--nnodes", machines, "--node-rank", rank, "--nproc-per-node", processes,
            "--master-addr", address, "--master-port", "29500")  # fmt: skip


def torchrun_all_are_the_first(processes, machines, rank, address):
    return torchrun.torchrun_arguments(processes, machines, 0, address)


def torchrun_processes_in_all(processes, machines, rank, address):
    return torchrun.torchrun_arguments(processes * machines, machines, rank, address)


def torchrun_waits_at_itself(processes, machines, rank, address):
    return torchrun.torchrun_arguments(processes, machines, rank, "127.0.0.1")


def torchrun_as_one_text(processes, machines, rank, address):
    return " ".join(torchrun.torchrun_arguments(processes, machines, rank, address))


def torchrun_forgets_the_address(processes, machines, rank, address):
    return torchrun.torchrun_arguments(processes, machines, rank, address)[:6]


WRONG: dict[str, list[Callable]] = {
    "exchanges": [
        exchanges_always, exchanges_the_wrong_way_round, exchanges_forgets_the_end,
        exchanges_nothing_between_outputs, exchanges_nothing_before_any_input,
        exchanges_looks_at_the_layer_before,
    ],
    "torchrun_arguments": [
        torchrun_without_texts, torchrun_all_are_the_first, torchrun_processes_in_all,
        torchrun_waits_at_itself, torchrun_as_one_text, torchrun_forgets_the_address,
    ],
    "ring_bytes": [
        bytes_of_the_whole, bytes_of_one_share, bytes_sum_like_gather, bytes_of_all_workers,
        bytes_with_a_step_too_many, bytes_for_nothing,
        bytes_gather_sends_everyone_the_own_share_as_if_whole,
    ],
    "speed_up": [
        amdahl_without_the_link, divides_the_serial_part_too, divides_the_exchange_too,
        exchanges_alone, exchanges_before_and_after, upside_down, never_below_one,
    ],
}  # fmt: skip
