"""A network divided by channels over the processes that torchrun starts, on several machines.

One command on each machine, with the same course on each; ADDRESS is that of the first one::

    torchrun --nnodes 2 --node-rank 0 --nproc-per-node 1 --master-addr ADDRESS
        --master-port 29500 -m edge_course.split_channels.torchrun --network seed_cnn

and ``--node-rank 1`` on the second. On one machine alone, with two processes::

    torchrun --standalone --local-addr 127.0.0.1 --nproc-per-node 2
        -m edge_course.split_channels.torchrun

``--network my_model.onnx`` divides a network of your own, which lies on each machine; see
`from_onnx.read_layers` for which ones can be divided.

Without an address torchrun takes the machine's own name, and waits for minutes where that name
stands for no address (macOS, virtual private networks, containers).
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from edge_course import terminal
from edge_course.split_channels import networks, worker
from edge_course.split_channels.from_onnx import read_layers
from edge_course.split_channels.layers import Layer, deal
from edge_course.split_channels.plan import paired_division
from edge_course.split_channels.program import together
from edge_course.split_channels.ring import Pace, Ring


def torchrun_arguments(
    processes: int, machines: int = 1, rank: int = 0, address: str = "127.0.0.1"
) -> tuple[str, ...]:
    """Return what stands between ``torchrun`` and the program, for one of the machines.

    Parameters
    ----------
    processes : how many on each machine.
    machines : how many; on one alone, torchrun takes a free port by itself (``--standalone``).
    rank : this machine's number, from 0.
    address : of machine 0, as the others reach it; with one machine, of the loopback.

    Raises
    ------
    ValueError
        If a number is too small, or no machine has that rank.

    Source: the documentation of ``torchrun`` (torch.distributed.run).

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    if processes < 1 or not 0 <= rank < machines:
        raise ValueError(
            "expected at least one process, and a rank from 0 to machines − 1, "
            f"got {processes} processes, {machines} machines, rank {rank}"
        )
    if machines == 1:
        return ("--standalone", "--local-addr", address, "--nproc-per-node", str(processes))
    return (
        "--nnodes", str(machines), "--node-rank", str(rank), "--nproc-per-node", str(processes),
        "--master-addr", address, "--master-port", "29500",
    )  # fmt: skip


ON_ONE_MACHINE = " ".join(
    ["torchrun", *torchrun_arguments(2), "-m edge_course.split_channels.torchrun"]
)


def main(arguments: list[str] | None = None) -> int:
    """Be one of the workers that torchrun started, on one machine or on several.

    Each takes its part of a network, which it reads from its own disk, and the same pictures.
    Worker 0 computes the whole network too, and prints how far the two results are from each
    other; each prints what it sent.
    """
    parser = argparse.ArgumentParser(
        prog=ON_ONE_MACHINE,
        description="Computes a trained network, divided by channels over the workers of torchrun.",
    )
    parser.add_argument(
        "--network", default="seed_cnn", help=f"{', '.join(networks.NETWORKS)}, or an .onnx file"
    )
    parser.add_argument("--pictures", type=int, default=200, help="pictures to compute")
    parser.add_argument("--repeats", type=int, default=5, help="how often, to be timed")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for others")
    options = parser.parse_args(arguments)
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if missing := [name for name in names if name not in os.environ]:
        print(
            f"[FAIL] {', '.join(missing)} not set: start this with torchrun, such as\n"
            f"       {ON_ONE_MACHINE}"
        )
        return 2
    try:
        _be_one_of_many(options)
    except (RuntimeError, ValueError, OSError) as error:  # the network's, PyTorch's, or ours
        print(f"[FAIL] worker {os.environ['RANK']}: {str(error).splitlines()[0]}")
        return 1
    return 0


def _be_one_of_many(options: argparse.Namespace) -> None:
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    address = own_address()  # says at once if the master's name stands for none
    timeout = timedelta(seconds=options.timeout)
    store, rank, workers = next(distributed.rendezvous("env://", timeout=timeout))
    store = distributed.PrefixStore("channels", store)
    group = worker.gloo_group(store, rank, workers, address, options.timeout)
    layers, x = _network(options.network, options.pictures)
    divisions = paired_division(layers)
    parts = deal(layers, divisions, workers, rank)
    ring = Ring(workers, rank, worker.swapper(group))
    done = worker.run(parts, divisions, ring, x, Pace(), options.repeats)
    print(
        f"worker {rank} of {workers} on {socket.gethostname()}: "
        f"{_weight_bytes(parts):,} of {_weight_bytes(layers):,} bytes of "
        f"weights, sent {done.bytes:,} bytes in {done.messages} messages, "
        f"{1000 * np.median(done.seconds):.1f} ms",
        flush=True,
    )
    if rank == 0:
        alone = together(layers, divisions, 1, x).output
        difference = np.abs(done.output - alone).max() / np.abs(alone).max()
        print(
            f"[{'OK' if difference < 1e-6 else 'FAIL'}]   {options.network}, {len(x)} pictures: "
            f"largest difference to the whole network {difference:.1e} of the largest score",
            flush=True,
        )
        if not difference < 1e-6:
            raise RuntimeError("the workers' result is not the whole network's")
    ring.wait_for_all()


def _network(name: str, pictures: int) -> tuple[Sequence[Layer], np.ndarray]:
    """Return the layers, and test pictures; for a file, random numbers of the shape it takes."""
    if name in networks.NETWORKS:
        return networks.NETWORKS[name](), networks.first_pictures(pictures)[0]
    layers, shape = read_layers(name)
    return layers, np.random.default_rng(0).normal(size=(pictures, *shape)).astype(np.float32)


def _weight_bytes(layers: Sequence[Layer]) -> int:
    return sum(layer.weight.nbytes for layer in layers if layer.weight is not None)


def own_address() -> str:
    """Return the address of this machine from which torchrun's master can be reached.

    Nothing is sent for it: "connecting" a datagram socket only chooses the way.

    Raises
    ------
    ValueError
        If the master's name stands for no address.
    """
    name, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        master = socket.getaddrinfo(name, port, type=socket.SOCK_DGRAM)[0]
    except socket.gaierror as error:
        raise ValueError(
            f"the name {name} stands for no address ({error.strerror}): give torchrun that of the "
            "first machine (--master-addr), or on one machine alone --local-addr 127.0.0.1"
        ) from None
    with socket.socket(master[0], socket.SOCK_DGRAM) as probe:
        probe.connect(master[4])
        return probe.getsockname()[0]


if __name__ == "__main__":
    terminal.run_command(main)
