"""The form of all data: immutable, keyword-only, strict when read back."""

import msgspec


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the data types. ``msgspec.structs.replace`` makes changed copies."""
