"""What a PyTorch network computes, node by node: its graph, as torch.fx writes it down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn

from edge_course.networks.torch_training import evaluating, one_thread


def traced_graph(model: nn.Module, shape: tuple[int, ...]) -> fx.Graph:
    """Return the network's graph in evaluation mode.

    Each node's ``meta`` has the "shape" of its tensor, None if it gives none, and "is_size": it
    gives an integer, or several.

    Raises
    ------
    ValueError
        If it is no network, cannot be traced, or does not take inputs of that shape.
    """
    tracer = fx.Tracer()
    with evaluating(model):
        try:
            with _len_is_traced(model, tracer):
                graph = tracer.trace(model)
        except Exception as error:  # whatever a model's own code raises
            raise ValueError(
                f"this network cannot be traced ({error}): its forward must do the same whatever "
                "the numbers are, with sizes taken one by one as x.size(0); a flatten is "
                "torch.flatten(x, 1)"
            ) from error
        try:
            with torch.no_grad(), one_thread():
                _Shapes(model, graph=graph).run(torch.zeros(2, *shape))
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                "the network does not take float32 inputs "
                f"(n, {', '.join(map(str, shape))}): {reason}"
            ) from error
    return graph


@contextmanager
def _len_is_traced(model: nn.Module, tracer: fx.Tracer) -> Iterator[None]:
    """Let ``len(x)`` be ``x.size(0)`` in the network's own code, inside a ``with`` block.

    Python wants an integer of `len`, so a tracer, which has no number yet, cannot follow it.
    """

    def length(x: object) -> object:
        return x.size(0) if isinstance(x, fx.Proxy) else len(x)

    own = [m for name, m in model.named_modules() if not tracer.is_leaf_module(m, name)]
    codes = [getattr(type(module).forward, "__globals__", {}) for module in own]
    changed = [code for code in codes if "len" not in code and code.setdefault("len", length)]
    try:
        yield
    finally:
        for code in changed:
            code.pop("len", None)


class _Shapes(fx.Interpreter):
    """Runs a graph and notes the shape of every result."""

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        several = result if isinstance(result, tuple) else (result,)
        n.meta["shape"] = tuple(result.shape) if isinstance(result, torch.Tensor) else None
        n.meta["is_size"] = all(isinstance(one, int) for one in several)
        return result


def node_refusal(node: fx.Node, why: str) -> ValueError:
    """Return the error that says why a node of a graph is not understood."""
    what = {"call_module": "layer", "call_method": "method"}.get(node.op, node.op)
    target = getattr(node.target, "__name__", node.target)
    return ValueError(f"node {node.name!r} ({what} {target}): {why}")
