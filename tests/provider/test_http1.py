"""Responses out of bytes against h11, on what servers send and on what they should not, however it is cut."""

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nanocode.http import httpx
from nanocode.provider.http1 import Response

# Status, headers, body, whether it ended well, whether the connection can go on.
Outcome = tuple[int, list[tuple[bytes, bytes]], bytes, bool, bool]


def ours(reads: list[bytes], method: str) -> Outcome | None:
    """What came of these reads and the close after them; None where a rule was broken."""
    response, body = Response(method), b""
    try:
        for data in reads:
            body += response.feed(data)
        reusable = response.reusable
        response.close()
    except httpx.RemoteProtocolError:
        return None
    return response.status, fields(response.headers), body, True, reusable


def theirs(reads: list[bytes], method: str) -> Outcome | None:
    connection, status, headers, body = h11.Connection(h11.CLIENT, 1 << 20), 0, [], b""
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    try:
        ended = False
        late = b""
        for data in reads:
            if ended:
                late += data
                continue
            connection.receive_data(data)
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Response):
                    status, headers = event.status_code, list(event.headers)
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    ended = True
                    break
        late += connection.trailing_data[0] if ended else b""
        reusable = ended and connection.their_state is h11.DONE and not late
        if not ended:
            connection.receive_data(b"")
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.ConnectionClosed):
                    return None
                if isinstance(event, h11.Data):
                    body += bytes(event.data)
    except h11.RemoteProtocolError:
        return None
    return status, fields(headers), body, True, reusable


def fields(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 tidies up those that tell how long the body is."""
    lowered = [(name.lower(), value) for name, value in headers]
    return [each for each in lowered if each[0] not in (b"transfer-encoding", b"content-length")]


HEADS = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 x",
    b"HTTP/1.1 500 Inn\xe9r  error", b"HTTP/2 200", b"HTTP/1.1 20 OK", b"HTTP/1.1 200 a\0b", b"ICY 200 OK", b"",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK",
])  # fmt: skip
FIELDS = st.lists(
    st.sampled_from([
        b"Content-Type: text/event-stream", b"Content-Length: 5", b"content-length: 7", b"Content-Length: 5, 5",
        b"Content-Length: -1", b"Content-Length: 5x", b"Content-Length: 123456789012345678901", b"Content-Length: +5",
        b"Transfer-Encoding: chunked", b"TRANSFER-ENCODING: Chunked", b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity", b"Connection: close", b"Connection: Keep-Alive", b"connection: te , Close",
        b"X: a\r\n  folded", b"X:", b"X:\t b \t", b"X : a", b"\xc3\xa9: a", b"X: \xc3\xa9", b"X: a\0b", b"X: a\x0bb",
        b"no colon", b": a", b" X: indented",
    ]),
    max_size=3,
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"hello", b"hello more", b"5\r\nhello\r\n0\r\n\r\n"]),
    st.lists(
        st.sampled_from([
            b"5\r\nhello\r\n", b"1;a=b\r\nx\r\n", b"01 \r\ny\r\n", b"a\r\n0123456789\r\n", b"A\t\r\n0123456789\r\n",
            b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nbad\r\n\r\n", b"0\n\n", b"5\r\nhelloXX", b"5\nhello\n", b"\r\n",
            b"0x5\r\nhello\r\n", b"-1\r\n\r\n", b"1_0\r\n", b"+5\r\nhello\r\n", b"5\r\nhe", b"tail",
            b"4\r\n\r\n\r\n\r\n", b"0\r\n\n", b"00000\r\n\r\n", b"f" * 21 + b"\r\n", b"5;\xff\"\r\r\nhello\r\n",
        ]),
        max_size=5,
    ).map(b"".join),
)  # fmt: skip


def joined(head: bytes, fields: list[bytes], end: bytes, body: bytes) -> bytes:
    return end.join([head, *fields]) + end + end + body


@given(
    st.builds(joined, HEADS, FIELDS, st.sampled_from([b"\r\n", b"\r\n", b"\n"]), BODIES),
    st.lists(st.integers(1, 200), max_size=4),
    st.sampled_from(["GET", "POST", "HEAD"]),
)
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", [], "POST")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r", [50], "POST")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [], "POST")
def test_a_response_is_what_h11_makes_of_it(data: bytes, cuts: list[int], method: str) -> None:
    places = [0, *sorted({each for each in cuts if each < len(data)}), len(data)]
    reads = [data[start:stop] for start, stop in pairwise(places)]
    assert ours(reads, method) == theirs(reads, method)


CHUNKED = b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n2;e\r\n, \r\n0\r\nT: 1\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(CHUNKED)])
def test_every_cut_gives_the_same_body(size: int) -> None:
    reads = [CHUNKED[at : at + size] for at in range(0, len(CHUNKED), size)]
    assert ours(reads, "POST") == (200, [(b"x", b"y")], b"hello, ", True, True)
    for at in range(1, len(CHUNKED)):
        assert ours([CHUNKED[:at], CHUNKED[at:]], "POST") == ours([CHUNKED], "POST")


@pytest.mark.parametrize(
    "endless",
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1" * 8000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
    ],
    ids=["head", "chunk", "trailer"],
)
def test_what_never_ends_is_refused(endless: tuple[bytes, bytes]) -> None:
    response = Response("GET")
    with pytest.raises(httpx.RemoteProtocolError, match="does not end"):
        for data in (endless[0], *[endless[1]] * 1000):
            response.feed(data)


def test_another_protocol_is_told_by_its_first_bytes() -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="illegal status line"):
        Response("GET").feed(b"\x15\x03\x01\x00\x02\x02")
