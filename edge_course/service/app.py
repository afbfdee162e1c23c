"""The application: four addresses, one JSON error for each refusal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_course.service.batcher import Batcher
from edge_course.service.intake import MAX_NPY_HEADER, RefusedError, decode_input, read_body
from edge_course.service.meters import Meters
from edge_course.service.model_slot import ModelSlot
from edge_course.service.settings import Settings

_T = TypeVar("_T")


def build_app(slot: ModelSlot, settings: Settings) -> Starlette:
    """Return an application that answers with a model's scores.

    ``POST /predict`` takes one input (`encode_input`) and returns
    ``{"class", "scores", "model"}``; ``GET /health`` says what is served, or 503 while it stops;
    ``GET /metrics`` is for Prometheus. A refusal is ``{"error", "detail"}``.

    Parameters
    ----------
    slot : where the model is.
    settings : how it behaves; ``slot`` must have been made for them.

    Taught in: notebooks/21_edge_service.ipynb
    """
    batcher = Batcher(slot.run, settings, lambda size: meters.batches.observe(size))
    meters = Meters(lambda: len(batcher.line), lambda: batcher.inside)
    # Room for twice the bytes: who sends float64 is told so, not that it is too long.
    limit = MAX_NPY_HEADER + 8 * int(np.prod(slot.input_shape))

    async def predict(request: Request) -> Response:
        begin = time.perf_counter()
        outcome = "failed"
        try:
            announced = request.headers.get("content-length")
            body = await read_body(
                request.stream(), announced, limit=limit, seconds=settings.deadline
            )
            x = decode_input(body, slot.input_shape)
            scores, model = await _unless_gone(request, batcher.answer(x))
            outcome = "answered"
        except RefusedError as refusal:
            outcome = refusal.reason
            raise
        except ClientDisconnect:
            outcome = "gone"
            return Response(status_code=400)  # nobody reads it
        finally:
            meters.requests.labels(outcome).inc()
        meters.seconds.observe(time.perf_counter() - begin)
        return JSONResponse(
            {"class": int(scores.argmax()), "scores": scores.tolist(), "model": model}
        )

    async def health(request: Request) -> Response:
        state = {
            "status": "stopping" if batcher.stopping else "ok",
            "model": slot.fingerprint,
            "input": ["float32", *slot.input_shape],
            "waiting": len(batcher.line),
        }
        return JSONResponse(state, 503 if batcher.stopping else 200)

    async def metrics(request: Request) -> Response:
        return Response(meters.text(), media_type=meters.content_type)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        batcher.start()
        yield
        await batcher.stop()

    return Starlette(
        routes=[
            Route("/predict", predict, methods=["POST"]),
            Route("/health", health),
            Route("/metrics", metrics),
        ],
        exception_handlers={RefusedError: _refused, HTTPException: _not_served},
        lifespan=lifespan,
    )


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, _T]) -> _T:
    """Return the answer, or want it no more when whoever asked has hung up."""
    wanted = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(request.receive())  # after the body nothing comes but the end
    try:
        await asyncio.wait((wanted, gone), return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise ClientDisconnect
        return wanted.result()
    finally:
        wanted.cancel()
        gone.cancel()


def _refused(request: Request, refusal: RefusedError) -> Response:
    headers = {"Retry-After": "1"} if refusal.status == 503 else {}
    if refusal.status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body was not read
    content = {"error": refusal.reason, "detail": refusal.text}
    return JSONResponse(content, refusal.status, headers)


def _not_served(request: Request, error: HTTPException) -> Response:
    """Answer what the library itself refuses: another path, another method."""
    detail = f"{request.method} {request.url.path[:80]}: POST /predict, GET /health, GET /metrics"
    content = {"error": error.detail.lower().replace(" ", "_"), "detail": detail}
    return JSONResponse(content, error.status_code, error.headers)
