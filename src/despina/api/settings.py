"""What the HTTP edge can be told."""

from despina.core.frozen import Frozen
from despina.core.roles import ParameterGroup


class ApiSettings(Frozen, frozen=True, kw_only=True):
    """The settings of the HTTP edge (``[limits]`` and ``[cluster]`` of ``despina.toml``)."""

    max_in_flight: int = 64
    """Requests that may be answered at a time."""
    requests_per_second: int = 200
    """Requests that one principal may send a second, on average; as many may come at once."""
    max_body_bytes: int = 1_048_576
    """The largest request body."""
    body_timeout_seconds: float = 30
    """How long a request body may take to arrive."""
    ml_enabled: bool = True
    """Whether the ML operations are offered."""
    iam_auth: bool = False
    """Whether requests have to be signed, as ``/status`` shows."""
    parameter_group: ParameterGroup = ParameterGroup()
    """The roles that requests may name."""
    own_hosts: frozenset[str] = frozenset()
    """Names that lead to this server and to no other; without ``iam_auth`` the console answers to these, besides addresses."""
