"""What a check has found."""

from typing import Literal

from despina.core.frozen import Frozen

Name = Literal["settings", "environment", "data directory", "disk", "clock", "open files", "database", "database rights",
               "database clock", "S3", "S3 server", "S3 write and read", "engine", "program", "cores and memory", "custom models",
               "port", "address", "certificate", "signatures", "secrets key", "principals"]
"""What is looked at; docs/cli.md says how."""


class Check(Frozen, frozen=True, kw_only=True):
    """One line of the report: what was looked at, what is, and, unless all is well, what to do."""

    name: Name
    status: Literal["ok", "warning", "error"] = "ok"
    """A warning does not keep a server from working; an error does, or will."""
    found: str
    advice: str | None = None


def ok(name: Name, found: str) -> Check:
    """All is well."""
    return Check(name=name, found=found)


def warning(name: Name, found: str, advice: str) -> Check:
    """It works, for now or not as it should."""
    return Check(name=name, status="warning", found=found, advice=advice)


def error(name: Name, found: object, advice: str) -> Check:
    """It does not work."""
    return Check(name=name, status="error", found=str(found), advice=advice)
