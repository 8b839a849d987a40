"""The benchmark's own reader of WebSocket: however the bytes are cut, it finds the same messages."""

import zlib

import pytest
from scripts.bench.feeds.frames import (
    PONG,
    TEXT,
    Frame,
    Frames,
    Inflater,
    NotWebSocket,
    Update,
    accept_of,
    after_upgrade,
    client_frame,
    read_update,
    server_frame,
)

MESSAGES = [b"", b"a" * 125, b"b" * 126, b"c" * 65_535, b"d" * 65_536, b"last"]


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1_000, 200_000])
def test_frames_are_whole_wherever_the_bytes_are_cut(cut: int) -> None:
    stream = b"".join(map(server_frame, MESSAGES))
    frames = Frames()
    found = [
        frame for start in range(0, len(stream), cut) for frame in frames.feed(stream[start : start + cut])
    ]
    assert found == [Frame(TEXT, is_compressed=False, payload=message) for message in MESSAGES]


@pytest.mark.parametrize("start", [b"\x01\x02hi", client_frame(b"masked"), b"\x00\x00"])
def test_fragments_and_masked_frames_are_no_servers(start: bytes) -> None:
    with pytest.raises(NotWebSocket):
        list(Frames().feed(start))


@pytest.mark.parametrize("size", [0, 5, 125, 126, 300])
def test_what_a_client_sends_is_masked_and_has_its_length(size: int) -> None:
    frame = client_frame(b"x" * size, PONG)
    assert frame[0] == 0x80 | PONG
    assert frame[1] & 0x80
    assert frame.endswith(bytes(4) + b"x" * size)
    assert len(frame) == (6 if size <= 125 else 8) + size


def test_the_key_of_the_standards_example_is_answered_as_there() -> None:
    """Source: RFC 6455, 1.3."""
    assert accept_of(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_an_upgrade_is_over_when_its_head_is_complete() -> None:
    key = b"dGhlIHNhbXBsZSBub25jZQ=="
    head = b"HTTP/1.1 101 Switching Protocols\r\nSEC-WEBSOCKET-ACCEPT: " + accept_of(key)
    assert after_upgrade(head + b"\r\n", key, deflate=False) is None
    assert after_upgrade(head + b"\r\n\r\nrest", key, deflate=False) == b"rest"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: other\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_an_upgrade_that_was_not_made_is_told(answer: bytes) -> None:
    with pytest.raises(NotWebSocket):
        after_upgrade(answer, b"key", deflate=False)


def test_a_server_that_does_not_compress_when_asked_is_told() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept_of(b"key") + b"\r\n\r\n"
    with pytest.raises(NotWebSocket):
        after_upgrade(answer, b"key", deflate=True)


def test_compressed_messages_are_inflated_each_for_itself() -> None:
    inflater = Inflater()
    for number in range(200):
        message = b'{"type":"update","number":%d}' % number * 3
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        payload = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert payload.endswith(b"\x00\x00\xff\xff")
        assert [inflater.inflate(payload[:-4]) for _ in range(2)] == [message] * 2


def test_bytes_that_were_not_compressed_are_told() -> None:
    with pytest.raises(NotWebSocket):
        Inflater().inflate(b"\xff\xff not deflate")


@pytest.mark.parametrize(
    ("message", "update"),
    [
        (
            b'{"type":"update","channel":"book","prev_seq":1042,"seq":1050,"data":{"bids":[],"checksum":7}}',
            Update("update", 1050, 1042),
        ),
        (
            b'{"type":"snapshot","channel":"fills","sub_account":0,"seq":9,"data":[]}',
            Update("snapshot", 9, None),
        ),
        (b'{"type":"subscribed","channel":"book","seq":3}', Update("subscribed", 3, None)),
        (b'{"type":"pong"}', Update("pong", 0, None)),
    ],
)
def test_the_place_of_a_message_is_read_from_its_bytes(message: bytes, update: Update) -> None:
    assert read_update(message) == update
