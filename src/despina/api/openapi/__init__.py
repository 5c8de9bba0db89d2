"""The OpenAPI document: the table of operations, the types of their requests and the forms of their answers, as tools read it.

::

    document.py     the document: paths, operations, components
    members.py      the members of requests
    answers.py      the forms of answers
    invocations.py  what endpoints are asked and what they answer
    errors.py       which errors an operation may end with
    samples.py      answers as the renderers give them, of jobs and endpoints made for it

It is made when it is asked for first.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from despina.api.operations import Operation, always
from despina.api.rendering import Document, View
from despina.api.service import ControlPlane
from despina.api.status import NoMembers
from despina.core.principal import Caller


def openapi_operation(operations: Sequence[Operation]) -> Operation:
    """The operation that tells the document of these operations and of itself, which everybody may read."""
    @cache
    def encoded() -> msgspec.Raw:
        from despina.api.openapi.document import openapi_document

        return msgspec.Raw(msgspec.json.encode(openapi_document((*operations, told))))

    def tell(_plane: ControlPlane, _request: NoMembers, _caller: Caller) -> msgspec.Raw:
        return encoded()

    def shown(document: Any, _request: Any, _view: View) -> Document:
        found: Document = document
        return found

    told = Operation("GetOpenApi", "GET", "/openapi.json", None, NoMembers, tell, shown, metered=False, in_thread=always)
    return told
