"""The values that conditions compare, other than strings and ARNs. Each function raises ValueError with what would be right.

Source: IAM user guide, "IAM JSON policy elements: Condition operators".
"""

import base64
import ipaddress
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
_EPOCH = re.compile(r"[0-9]{1,3}|[0-9]{9,20}")  # what lies between is more likely a date without its hyphens
_TIME = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
                   r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:(Z)|([+-])([0-9]{2}):([0-9]{2})))?)?)?")
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999."""


class Network(NamedTuple):
    """A range of IP addresses: those whose bits under the mask are these. The version is above the bits of the longest address."""

    mask: int
    bits: int


_VERSION_AT = 128


@lru_cache(maxsize=512)
def number(text: str) -> Decimal:
    """An integer or decimal number."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("is no number; write an integer or a decimal number, as in '10' or '0.5'")
    return Decimal(text)


@lru_cache(maxsize=512)
def moment(text: str) -> int:
    """A time in microseconds since 1970: a W3C form of ISO 8601 (with four digits alone, a year), or seconds since 1970."""
    found = _TIME.fullmatch(text)
    if not found and _EPOCH.fullmatch(text):
        if int(text) > _LAST_SECOND:
            raise ValueError("is a time after the year 9999; write seconds since 1970, not milliseconds")
        return int(text) * 1_000_000
    try:
        if not found:
            raise ValueError
        year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
        time = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
        if hours and not (int(hours) < 24 and int(minutes) < 60):
            raise ValueError
    except ValueError:
        raise ValueError("is no time; write ISO 8601 with a time zone, as in '2026-01-31' or '2026-01-31T12:00:00Z', or seconds "
                         "since 1970") from None
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1) if hours else 0
    return (int(time.timestamp()) - offset) * 1_000_000 + int((fraction or "0").ljust(6, "0")[:6])


def boolean(text: str) -> bool:
    """``true`` or ``false``, in any case."""
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise ValueError("is neither 'true' nor 'false'")


def binary(text: str) -> bytes:
    """Bytes in base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None


@lru_cache(maxsize=512)
def address(text: str) -> int:
    """An address, as in ``Network``; what an IPv6 socket reports of an IPv4 address (``::ffff:192.0.2.1``) is that address."""
    value = ipaddress.ip_address(text)
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        value = value.ipv4_mapped
    return value.version << _VERSION_AT | int(value)


def network(text: str) -> Network:
    """A range in CIDR form, or a single address."""
    base, slash, prefix = text.partition("/")
    try:
        if slash and not re.fullmatch("[0-9]{1,3}", prefix):
            raise ValueError
        value = ipaddress.ip_network(text, strict=False)
        first = ipaddress.ip_address(base)
    except ValueError:
        raise ValueError("is no IP address or range; write CIDR form, as in '203.0.113.0/24' or '2001:db8::/32'") from None
    if value.network_address != first:
        raise ValueError(f"is an address within a range; did you mean '{value}' or '{first}'?")
    if isinstance(value, ipaddress.IPv6Network) and first.version == 6 and value.network_address.ipv4_mapped is not None:
        raise ValueError(f"is an IPv4 address written as IPv6; write the range of '{value.network_address.ipv4_mapped}' as IPv4")
    return Network(0xF << _VERSION_AT | int(value.netmask), value.version << _VERSION_AT | int(value.network_address))


def within(one: int, wanted: Network) -> bool:
    """Whether the address is in the range."""
    mask, bits = wanted
    return one & mask == bits
