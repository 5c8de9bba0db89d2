"""How a server and a serving program talk over one connection: frames, many requests at a time, answers in any order.

A frame is its length (4 bytes, big-endian; what follows counts), a number that pairs the answer with its request (8 bytes), in an
answer an HTTP status (2 bytes), and the body, JSON.
"""

from struct import Struct

_REQUEST, _ANSWER = Struct(">IQ"), Struct(">IQH")
_LENGTH = Struct(">I")
_NUMBER, _NUMBER_STATUS = Struct(">Q"), Struct(">QH")

MAX_FRAME = 512 * 2**20
"""Bytes. What announces more is no frame."""


class BrokenFrames(Exception):
    """What came over the connection is no frame."""


def request_frame(number: int, body: bytes) -> bytes:
    """A request."""
    return _REQUEST.pack(_NUMBER.size + len(body), number) + body


def answer_frame(number: int, status: int, body: bytes) -> bytes:
    """An answer to the request of this number."""
    return _ANSWER.pack(_NUMBER_STATUS.size + len(body), number, status) + body


def read_request(frame: bytes) -> tuple[int, bytes]:
    """The number and the body of a request."""
    return _NUMBER.unpack_from(frame)[0], frame[_NUMBER.size:]


def read_answer(frame: bytes) -> tuple[int, int, bytes]:
    """The number, the status and the body of an answer."""
    number, status = _NUMBER_STATUS.unpack_from(frame)
    return number, status, frame[_NUMBER_STATUS.size:]


class FrameReader:
    """Takes a stream of bytes apart."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._have = 0
        self._wanted = _LENGTH.size

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete now, without their lengths. Raises BrokenFrames."""
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._wanted:
            return []  # of a large frame that comes in pieces, joined once
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        frames, at = [], 0
        while True:
            if len(data) - at < _LENGTH.size:
                self._wanted = _LENGTH.size
                break
            length = _LENGTH.unpack_from(data, at)[0]
            if not _NUMBER.size <= length <= MAX_FRAME:
                raise BrokenFrames(f"A frame of {length} bytes was announced.")
            if len(data) - at < _LENGTH.size + length:
                self._wanted = _LENGTH.size + length
                break
            frames.append(data[at + _LENGTH.size:at + _LENGTH.size + length])
            at += _LENGTH.size + length
        rest = data[at:]
        self._parts, self._have = [rest] if rest else [], len(rest)
        return frames
