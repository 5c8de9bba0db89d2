"""Frames come apart as they were put together, however the stream is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from despina.core.frames import MAX_FRAME, BrokenFrames, FrameReader, answer_frame, read_answer, read_request, request_frame

BODIES = st.lists(st.binary(max_size=300), max_size=8)


@given(bodies=BODIES, cuts=st.lists(st.integers(0, 3000), max_size=12))
def test_whatever_pieces_a_stream_comes_in(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(request_frame(2**64 - 1 - i, body) for i, body in enumerate(bodies))
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    reader, frames = FrameReader(), list[bytes]()
    for start, stop in pairwise(ends):
        frames += reader.feed(stream[start:stop])
    assert [read_request(frame) for frame in frames] == [(2**64 - 1 - i, body) for i, body in enumerate(bodies)]


@given(number=st.integers(0, 2**64 - 1), status=st.integers(100, 599), body=st.binary(max_size=100))
def test_answers(number: int, status: int, body: bytes) -> None:
    [frame] = FrameReader().feed(answer_frame(number, status, body))
    assert read_answer(frame) == (number, status, body)


@pytest.mark.parametrize("length", [0, 7, MAX_FRAME + 1, 2**32 - 1])
def test_what_is_no_frame(length: int) -> None:
    with pytest.raises(BrokenFrames, match=f"{length} bytes"):
        FrameReader().feed(length.to_bytes(4, "big") + b"x" * 20)
