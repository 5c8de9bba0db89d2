"""Traces, if the environment says where to send them, in the variables of OpenTelemetry.

Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "General SDK Configuration".
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from despina.telemetry.spans import Traces

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"


def open_traces(environ: Mapping[str, str], *, service: str) -> "Traces | None":
    """What makes traces; None if they are not wanted, or cannot be made, which is logged. Only then is OpenTelemetry imported.

    Args:
        environ: Has one of ``ENDPOINTS`` if traces are wanted.
        service: The name of the service, if ``OTEL_SERVICE_NAME`` gives none.
    """
    endpoint = next((name for name in ENDPOINTS if environ.get(name)), None)
    if endpoint is None or environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    protocol = next((name for name in PROTOCOLS if environ.get(name)), None)
    if protocol is not None and environ[protocol] != SPOKEN:
        log.warning("There are no traces: %s is '%s', and only %s is spoken.", protocol, environ[protocol], SPOKEN)
        return None
    try:
        from despina.telemetry.spans import Traces
    except ImportError as error:
        log.warning("There are no traces, though %s says where to: pip install 'despina[otel]' (%s).", endpoint, error)
        return None
    return Traces.exported(service)
