"""What a check has found."""

from typing import Literal

from despina.core.frozen import Frozen


class Check(Frozen, frozen=True, kw_only=True):
    """One line of the report: what was looked at, what is, and, unless all is well, what to do."""

    name: str
    status: Literal["ok", "warning", "error"] = "ok"
    """A warning does not keep a server from working; an error does, or will."""
    found: str
    advice: str | None = None


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name=name, found=found)


def warning(name: str, found: str, advice: str) -> Check:
    """It works, for now or not as it should."""
    return Check(name=name, status="warning", found=found, advice=advice)


def error(name: str, found: object, advice: str) -> Check:
    """It does not work."""
    return Check(name=name, status="error", found=str(found), advice=advice)
