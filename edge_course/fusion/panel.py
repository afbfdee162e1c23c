"""Asks all nodes at once and answers from those that are there, in time and plausible."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from edge_course.fusion.weights import minimum_variance
from edge_course.nodes.client import Client
from edge_course.nodes.transport import NodeError


class PanelAnswer(NamedTuple):
    """One answer from many nodes.

    Attributes
    ----------
    value : the forecast.
    nodes : from which nodes it comes, in their order.
    left_out : each of the other nodes, and why.
    """

    value: float
    nodes: tuple[int, ...]
    left_out: dict[int, str]


def far_from_the_others(forecasts: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return which forecasts lie further from the median of all than they ever should.

    The median does not move far as long as fewer than half of the nodes are wrong.

    Parameters
    ----------
    forecasts : one of each node, real numbers, (nodes,) or (t, nodes).
    limits : the largest distance that is normal for each node, (nodes,).

    Returns
    -------
    np.ndarray
        bool, the shape of ``forecasts``.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """
    forecasts = np.asarray(forecasts, float)
    median = np.median(forecasts, axis=-1, keepdims=True)
    return np.abs(forecasts - median) > limits


class Panel:
    """Nodes that are asked together.

    Parameters
    ----------
    clients : the number of a node → who asks it.
    products : see `weights.error_products`; rows and columns in the order of the clients.
    limits : see `far_from_the_others`, (nodes,), in the same order.
    possible : the smallest and the largest forecast that can be true.
    deadline : seconds that the nodes have, all together.

    Raises
    ------
    ValueError
        If products or limits are of another size.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """

    def __init__(
        self,
        clients: Mapping[int, Client],
        products: np.ndarray,
        limits: np.ndarray,
        possible: tuple[float, float],
        *,
        deadline: float = 0.5,
    ):
        if np.shape(products) != (len(clients),) * 2 or np.shape(limits) != (len(clients),):
            raise ValueError(
                f"expected products and limits of {len(clients)} nodes, got {np.shape(products)} "
                f"and {np.shape(limits)}"
            )
        self._clients, self._products, self._limits = dict(clients), products, limits
        self._possible, self._deadline = possible, deadline
        self._threads = ThreadPoolExecutor(len(clients))

    def answer(self, step: int) -> PanelAnswer:
        """Return the answer of the nodes that are there, weighted anew for just these.

        Parameters
        ----------
        step : the quarter of an hour at which the nodes forecast.

        Raises
        ------
        NodeError
            If no node gives a usable forecast.
        """
        asked = [self._threads.submit(self._ask, c, step) for c in self._clients.values()]
        said = dict(zip(self._clients, (future.result() for future in asked), strict=True))
        left_out = {node: reply for node, reply in said.items() if isinstance(reply, str)}
        there = [place for place, node in enumerate(said) if node not in left_out]
        forecasts = np.array([reply for reply in said.values() if not isinstance(reply, str)])
        if there:
            far = far_from_the_others(forecasts, self._limits[there])
            for place, forecast in zip(np.array(there)[far], forecasts[far], strict=True):
                left_out[list(said)[place]] = f"{forecast:.0f} is too far from the others"
            there, forecasts = list(np.array(there)[~far]), forecasts[~far]
        if not there:
            raise NodeError(
                f"none of {len(said)} nodes gave a forecast that can be used; the first: "
                f"{next(iter(left_out.values()))}"
            )
        weights = minimum_variance(self._products[np.ix_(there, there)])
        nodes = tuple(list(said)[place] for place in there)
        return PanelAnswer(float(forecasts @ weights), nodes, left_out)

    def _ask(self, client: Client, step: int) -> float | str:
        """Return a node's forecast, or why there is none."""
        question = {"step": np.float32([step])}
        try:
            forecast = float(client.request(question, deadline=self._deadline)["forecast"][0])
        except NodeError as error:
            return str(error)
        except (KeyError, IndexError):
            return "its answer has no forecast"
        low, high = self._possible
        if not low <= forecast <= high:
            return f"{forecast:.0f} is impossible, expected {low:.0f} to {high:.0f}"
        return forecast

    def close(self) -> None:
        """Ask nobody any more."""
        for client in self._clients.values():
            client.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Panel:
        return self

    def __exit__(self, *_) -> None:
        self.close()
