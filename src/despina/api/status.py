"""The server's own state: Neptune's ``/status``; ``/healthz``, ``/readyz``, ``/metrics`` for whoever runs it. Nothing limits them.

Source: Neptune Data API reference, GetEngineStatus.
"""

import logging
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from despina.api.errors import NotReady
from despina.api.operations import Operation, always
from despina.api.rendering import Document, View
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.core.frozen import Frozen
from despina.core.principal import Caller
from despina.telemetry.metrics import Metrics

logger = logging.getLogger("despina.api")


class NoMembers(Frozen, frozen=True, kw_only=True):
    """A request that carries nothing."""


def status_operations(settings: ApiSettings, metrics: Metrics, started_at: datetime) -> tuple[Operation, ...]:
    """The four operations of a server that was started then."""
    status = engine_status(settings, started_at)

    def engine(_plane: ControlPlane, _request: NoMembers, _caller: Caller) -> Document:
        return status

    def measured(_plane: ControlPlane, _request: NoMembers, _caller: Caller) -> str:
        return metrics.exposition()

    return (
        Operation("GetMetrics", "GET", "/metrics", "GetEngineStatus", NoMembers, measured, _text, metered=False, in_thread=always,
                  content_type=b"text/plain; version=0.0.4; charset=utf-8"),
        Operation("GetEngineStatus", "GET", "/status", "GetEngineStatus", NoMembers, engine, _shown, metered=False, reads=False),
        Operation("GetHealth", "GET", "/healthz", None, NoMembers, _health, _shown, metered=False, reads=False),
        Operation("GetReadiness", "GET", "/readyz", None, NoMembers, _readiness, _shown, metered=False, in_thread=always),
    )


def engine_status(settings: ApiSettings, started_at: datetime) -> Document:
    """What GetEngineStatus answers, as far as it applies to a server without a query engine."""
    def shown(*, on: bool) -> str:
        return "enabled" if on else "disabled"

    return {
        "status": "healthy",
        "startTime": f"{started_at.astimezone(UTC):%a %b %d %H:%M:%S UTC %Y}",
        "dbEngineVersion": version("despina"),
        "role": "writer",
        "features": {"NeptuneML": shown(on=settings.ml_enabled), "IAMAuthentication": shown(on=settings.iam_auth)},
        "settings": {"neptune_ml_iam_role": settings.parameter_group.default},
    }


def _health(_plane: ControlPlane, _request: NoMembers, _caller: Caller) -> Document:
    return {"status": "healthy"}


def _readiness(plane: ControlPlane, _request: NoMembers, _caller: Caller) -> Document:
    try:
        plane.jobs.ready()
    except Exception as error:
        logger.warning("Not ready: %s", error)
        raise NotReady("The server is not ready: it cannot read its jobs. The server's log says why.") from error
    return {"status": "ready"}


def _shown(document: Document, _request: Any, _view: View) -> Document:
    return document


def _text(text: str, _request: Any, _view: View) -> str:
    return text
