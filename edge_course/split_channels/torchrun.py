"""A network divided by channels over the processes that torchrun starts, on several machines.

One command on each machine, with the same course on each; ADDRESS is that of the first one::

    torchrun --nnodes 2 --node-rank 0 --nproc-per-node 1 --master-addr ADDRESS
        --master-port 29500 -m edge_course.split_channels.torchrun --network seed_cnn

and ``--node-rank 1`` on the second. On one machine alone, with two processes::

    torchrun --nproc-per-node 2 -m edge_course.split_channels.torchrun
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from datetime import timedelta

import numpy as np

from edge_course.split_channels import networks, worker
from edge_course.split_channels.layers import deal
from edge_course.split_channels.program import together
from edge_course.split_channels.ring import Pace, Ring


def main(arguments: list[str] | None = None) -> int:
    """Be one of the workers that torchrun started, on one machine or on several.

    Each takes its part of a trained network, which it reads from its own ``data/``, and the
    same test pictures. Worker 0 computes the whole network too, and prints how far the two
    results are from each other; each prints what it sent.

    Taught in: notebooks/15_split_by_channels.ipynb
    """
    parser = argparse.ArgumentParser(
        prog="torchrun … -m edge_course.split_channels.torchrun",
        description="Computes a trained network, divided by channels over the workers of torchrun.",
    )
    parser.add_argument("--network", choices=networks.NETWORKS, default="seed_cnn")
    parser.add_argument("--pictures", type=int, default=200, help="test pictures to compute")
    parser.add_argument("--repeats", type=int, default=5, help="how often, to be timed")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for others")
    options = parser.parse_args(arguments)
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if missing := [name for name in names if name not in os.environ]:
        print(
            f"[FAIL] {', '.join(missing)} not set: start this with torchrun, such as\n"
            "       torchrun --nproc-per-node 2 -m edge_course.split_channels.torchrun"
        )
        return 2
    try:
        _be_one_of_many(options)
    except (RuntimeError, ValueError) as error:  # the network's, PyTorch's, or a number of ours
        print(f"[FAIL] worker {os.environ['RANK']}: {str(error).splitlines()[0]}")
        return 1
    return 0


def _be_one_of_many(options: argparse.Namespace) -> None:
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    timeout = timedelta(seconds=options.timeout)
    store, rank, workers = next(distributed.rendezvous("env://", timeout=timeout))
    store = distributed.PrefixStore("channels", store)
    group = worker.gloo_group(store, rank, workers, own_address(), options.timeout)
    layers = networks.NETWORKS[options.network]()
    divisions = networks.FEWEST_EXCHANGES[options.network]
    parts = deal(layers, divisions, workers, rank)
    x, _ = networks.first_pictures(options.pictures)
    ring = Ring(workers, rank, worker.swapper(group))
    done = worker.run(parts, divisions, ring, x, Pace(), options.repeats)
    kept, whole = (sum(la.weight.nbytes for la in la_s if la.weight is not None)
                   for la_s in (parts, layers))  # fmt: skip
    print(
        f"worker {rank} of {workers} on {socket.gethostname()}: {kept:,} of {whole:,} bytes of "
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


def own_address() -> str:
    """Return the address of this machine from which torchrun's master can be reached.

    Nothing is sent for it: "connecting" a datagram socket only chooses the way.
    """
    master = socket.getaddrinfo(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(master[0], socket.SOCK_DGRAM) as probe:
        probe.connect(master[4])
        return probe.getsockname()[0]


if __name__ == "__main__":
    sys.exit(main())
