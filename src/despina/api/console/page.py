"""What a page of the console is made of: its row in the table, what its handler is given, and what the handler gives back.

A handler is a plain function, run in a thread: ``handler(request) -> Reply``. Errors of the domain may go through it: they become
the console's error page, with the status that the API gives them.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from despina.api.console.descriptions import Descriptions
from despina.api.latencies import Seen
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.core.errors import AccessDenied, DespinaError
from despina.core.names import Cluster
from despina.core.principal import Caller, Credential

HTML = b"text/html; charset=utf-8"
ROOT = "/console"
Headers = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """What a handler gives back."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A row of the table. The first five fields are positional, so that the rows read as a table."""

    name: str
    """The operation that it performs, by its name in the API, as the audit log tells it."""
    method: str
    path: str
    """``{name}`` stands for one segment, which the handler finds in ``request.path``."""
    action: str | None
    """The IAM action that permits it, without the prefix of its service; None for what everybody who has signed in may do."""
    handler: "Callable[[ConsoleRequest], Reply]"
    _: KW_ONLY
    label: str | None = None
    """Its name in the navigation; None: it does not stand there."""
    service: str = "neptune-db"
    """The AWS service of the action."""
    public: bool = False
    """Whether it is there for who has not signed in: policies are not asked."""
    form_again: "Callable[[ConsoleRequest, DespinaError], Reply] | None" = None
    """Of a POST: makes the page that is shown in place of the error page, with the form and what was wrong. Its status is the
    error's. Who was refused is shown the error alone, and so is everybody if it raises an error itself."""
    form_action: str | None = None
    """The IAM action of ``neptune-db`` that permits to see what ``form_again`` shows, if the page's own is not enough."""
    content_type: bytes = HTML


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What only the edge can do, for a handler; see the methods of ``ConsoleRequest``."""

    render: Callable[[str, Mapping[str, Any]], str]
    authorize: Callable[[str, str | None], None]
    invoke: Callable[[str, bytes], tuple[bytes, str]]
    open_session: Callable[[str, str, str], str]
    """From access key id, secret and session token to the value of the session's cookie. Raises AccessDenied."""
    seen: Callable[[str], Seen]
    """What this process has seen of an endpoint, by its id."""
    descriptions: Descriptions
    """What is known of the models that are served."""
    audit_folder: Path | None
    """Of the audit log; None: there is none, as nobody is known by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRequest:
    """What a handler is given."""

    id: str
    """The request's, as in the log."""
    page: Page
    plane: ControlPlane
    cluster: Cluster
    settings: ApiSettings
    now: int
    """ms since 1970."""
    origin: str
    """The URL by which the browser calls this server, as in ``http://localhost:8182``."""
    target: str
    """The path and query that were asked for, as they stand on the wire."""
    path: Mapping[str, str] = field(default_factory=dict)
    """The variables of the path, decoded."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The query's fields that are not empty; of one that comes twice the last."""
    form: Mapping[str, str] = field(default_factory=dict)
    """Of a POST, likewise. The token against forgery was checked before."""
    credential: Credential | None = None
    """Who asks; None without ``--iam-auth``, and on pages that are public."""
    token: str
    """The token that every form must carry as ``token``; templates have it."""
    edge: Edge

    def render(self, template: str, *, status: int = 200, **values: Any) -> Reply:
        """A page, or a part of one, from a template, which finds ``request`` and ``navigation`` beside the values."""
        text = self.edge.render(template, {"request": self, **values})
        return Reply(status, [(b"content-type", HTML)], text.encode("utf-8", "replace"))

    def redirect(self, path: str, **query: str) -> Reply:
        """Have the browser GET another page of the console."""
        target = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
        return Reply(303, [(b"location", quote(target, safe="/?&=%+:,~").encode("ascii"))], b"")

    @property
    def fragment(self) -> str:
        """The name of the part that is wanted instead of the whole page (``data-live``, ``data-dialog``); empty: the whole page."""
        return self.query.get("fragment", "")

    def page_url(self) -> str:
        """The path and query of the whole page."""
        path, _, query = self.target.partition("?")
        kept = "&".join(part for part in query.split("&") if part and not part.startswith("fragment="))
        return f"{path}?{kept}" if kept else path

    def fragment_url(self, name: str = "live") -> str:
        """The URL of a part of this page."""
        url = self.page_url()
        return f"{url}{'&' if '?' in url else '?'}fragment={name}"

    def caller(self) -> Caller:
        """Who calls, for the control plane; the number of a form, ``once``, has a button that is pressed twice do one thing."""
        return Caller(arn=self.credential.principal.arn if self.credential else None,
                      invocation=f"console-{self.form['once']}" if "once" in self.form else None)

    def authorize(self, action: str, *, resource: str | None = None) -> None:
        """Ask the policies about more than the page's own action, which has been permitted already.

        Args:
            action: With its service, as in ``sagemaker:InvokeEndpoint``.
            resource: An ARN; None: the cluster.

        Raises:
            AccessDenied: they do not allow it.
        """
        self.edge.authorize(action, resource)

    def allows(self, action: str, *, resource: str | None = None) -> bool:
        """Whether the policies allow it, so that a button need not be shown that would be refused."""
        try:
            self.authorize(action, resource=resource)
        except AccessDenied:
            return False
        return True

    def invoke(self, endpoint: str, body: bytes) -> tuple[bytes, str]:
        """What InvokeEndpoint answers, and the variant that answered. The page's row, or ``authorize``, must have permitted it.

        Raises:
            NoSuchEndpoint, EndpointNotReady, EndpointUnavailable, ModelError: as the operation.
        """
        return self.edge.invoke(endpoint, body)
