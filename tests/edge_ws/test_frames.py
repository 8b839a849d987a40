"""Our frames, read by a client of the standard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from exchange.edge.ws.frames import WINDOW_BITS, Frames, ping_frame


def read(raw: bytes, *, deflating: bool) -> list[Frame]:
    """What a client makes of these bytes."""
    extensions = [PerMessageDeflate(True, True, WINDOW_BITS, WINDOW_BITS)] if deflating else []
    reader = StreamReader()
    reader.feed_data(raw)
    reader.feed_eof()
    found = []
    while reader.buffer:
        parsing = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
        try:
            next(parsing)
        except StopIteration as end:
            found.append(end.value)
    return found


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_plain_and_deflated_frames_carry_the_same_messages(payloads):
    frames = Frames(payloads)
    for raw, deflating in ((frames.plain, False), (frames.deflated, True), (frames.plain, True)):
        found = read(raw, deflating=deflating)
        assert [bytes(frame.data) for frame in found] == payloads
        assert {(frame.opcode, frame.fin) for frame in found} == {(Opcode.TEXT, True)}
    assert frames.messages == len(payloads)
    assert frames.payload_bytes == sum(map(len, payloads))


@pytest.mark.parametrize("length", [0, 99, 100, 125, 126, 65_535, 65_536, 200_000])
def test_frames_of_every_form_of_length_are_read(length):
    payload = (b"0123456789abcdef" * (length // 16 + 1))[:length]
    frames = Frames([payload])
    assert bytes(read(frames.plain, deflating=False)[0].data) == payload
    assert bytes(read(frames.deflated, deflating=True)[0].data) == payload
    if length > 1_000:
        assert len(frames.deflated) < length // 10


def test_a_ping_is_a_ping():
    [frame] = read(ping_frame(b"7"), deflating=False)
    assert (frame.opcode, frame.data) == (Opcode.PING, b"7")
