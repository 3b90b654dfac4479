"""Framing by the letter of WHATWG HTML 9.2.6, against an oracle that decodes the whole stream first."""

import re
from collections.abc import Iterable
from itertools import combinations, pairwise
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanocode.errors import ProviderError

HOT = "sse"

Events = list[tuple[str, str]]

# (what it shows, the stream, its events, the block left at the end); the first eight are the standard's examples
# and those of the web platform tests.
CASES: list[tuple[str, bytes, Events, tuple[str, str] | None]] = [
    ("three data lines", b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")], None),
    (
        "comment, id, bare id",
        b": test\n\ndata: a\nid: 1\n\ndata:b\nid\n\ndata:  c\n\n",
        [("message", "a"), ("message", "b"), ("message", " c")],
        None,
    ),
    ("bare data", b"data\n\ndata\ndata\n\ndata:", [("message", ""), ("message", "\n")], ("message", "")),
    ("one space only", b"data:test\n\ndata: test\n\n", [("message", "test")] * 2, None),
    ("second space stays", b"data:  x\n\n", [("message", " x")], None),
    ("tab stays", b"data:\tx\n\n", [("message", "\tx")], None),
    ("event name", b"event: add\ndata: 7\n\n", [("add", "7")], None),
    ("last event name counts", b"event: a\nevent: b\ndata: 7\n\n", [("b", "7")], None),
    ("empty event name", b"event: a\nevent:\ndata: 7\n\n", [("message", "7")], None),
    ("name is reset without data", b"event: a\n\ndata: 7\n\n", [("message", "7")], None),
    ("name is reset after data", b"event: a\ndata: 7\n\ndata: 8\n\n", [("a", "7"), ("message", "8")], None),
    ("CR", b"data: a\rdata: b\r\r", [("message", "a\nb")], None),
    ("CRLF", b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb")], None),
    ("mixed line ends", b"data: a\r\ndata: b\rdata: c\n\r\n", [("message", "a\nb\nc")], None),
    ("LF CR is two line ends", b"data: a\n\rdata: b\n\n", [("message", "a"), ("message", "b")], None),
    (
        "other separators are text",
        "data: a\x0b\x0c\x1c\x85\u2028b\n\n".encode(),
        [("message", "a\x0b\x0c\x1c\x85\u2028b")],
        None,
    ),
    ("BOM", b"\xef\xbb\xbfdata: a\n\n", [("message", "a")], None),
    ("only one BOM", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\ndata: b\n\n", [("message", "b")], None),
    ("BOM later is text", b"data: \xef\xbb\xbf\n\n\xef\xbb\xbfdata: b\n\n", [("message", "\ufeff")], None),
    ("half a BOM", b"\xef\xbbdata: a\ndata: b\n\n", [("message", "b")], None),
    ("BOM before CRLF", b"\xef\xbb\xbf\r\ndata: b\r\n\r\n", [("message", "b")], None),
    ("names are case-sensitive", b"Data: a\nEVENT: b\nId: 1\nRetry: 1\ndata: c\n\n", [("message", "c")], None),
    ("unknown fields", b"foo: a\nfoo\ndata-x: a\ndat: a\ndata: c\n\n", [("message", "c")], None),
    ("space before the colon", b"data : a\n data: b\ndata: c\n\n", [("message", "c")], None),
    ("comments between", b"data: a\n:data: b\n:\ndata: c\n\n", [("message", "a\nc")], None),
    ("colons in the value", b"data:::a:\n\n", [("message", "::a:")], None),
    ("NUL in data", b"data: a\0b\n\n", [("message", "a\0b")], None),
    ("no blank line at the end", b"data: a\n\ndata: b\n", [("message", "a")], ("message", "b")),
    ("no line end at the end", b"event: x\ndata: a\ndata: b", [], ("x", "a\nb")),
    ("no data at the end", b"event: x\nid: 1\n", [], None),
    ("UTF-8", "data: größer 木 🙂\n\n".encode(), [("message", "größer 木 🙂")], None),
    ("not UTF-8", b"event: \xff\ndata: \xe6\x9c\n\n", [("\ufffd", "\ufffd")], None),
    ("nothing", b"", [], None),
    ("blank lines only", b"\n\r\r\n\n", [], None),
]


class Outcome(NamedTuple):
    events: Events
    left: tuple[str, str] | None
    last_event_id: str
    retry: int | None


def oracle(stream: bytes) -> Outcome:
    """The standard's text, word by word, over the decoded whole."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, rest = re.split("\r\n|\r|\n", text)
    events: Events = []
    last_event_id, retry = "", None
    data, event, id_buffer = "", "", ""
    for line in [*lines, rest] if rest else lines:
        if line == "":
            last_event_id = id_buffer
            if data:
                events.append((event or "message", data[:-1]))
            data = event = ""
            continue
        name, colon, value = line.partition(":")
        if colon and value[:1] == " ":
            value = value[1:]
        if name == "data":
            data += value + "\n"
        if name == "event":
            event = value
        if name == "id" and "\0" not in value:
            id_buffer = value
        if name == "retry" and re.fullmatch("[0-9]{1,18}", value):
            retry = int(value)
    return Outcome(events, (event or "message", data[:-1]) if data else None, last_event_id, retry)


def outgrows(stream: bytes, limit: int) -> bool:
    """Whether data so far and the line being read are ever more than `limit` bytes."""
    held = 0
    if b"\xef\xbb\xbf".startswith(stream):
        return False
    for line in re.split(b"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf")):
        if held + len(line) > limit:
            return True
        name, _, value = line.partition(b":")
        held = 0 if not line else held + len(value.removeprefix(b" ")) + 1 if name == b"data" else held
    return False


def decoded(pair: tuple[str, bytes]) -> tuple[str, str]:
    assert type(pair) is tuple and type(pair[1]) is bytes
    return pair[0], pair[1].decode("utf-8", "replace")


def outcome(twin: ModuleType, reads: Iterable[bytes], limit: int | None = None) -> Outcome:
    decoder = twin.SseDecoder() if limit is None else twin.SseDecoder(limit)
    events = [decoded(pair) for read in reads for pair in decoder.feed(read)]
    left = decoder.finish()
    return Outcome(events, left and decoded(left), decoder.last_event_id, decoder.retry)


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def overflows(twin: ModuleType, reads: Iterable[bytes], limit: int) -> bool:
    try:
        outcome(twin, reads, limit)
    except ProviderError:
        return True
    return False


FIELDS = b"data|data:|data: |event:|event: x|id: 1|id:\0|retry: 30|retry:x|:| ".split(b"|")
BYTES = b"\n|\r|\r\n|\n\n|\xef\xbb\xbf|\xef|\xbb|\xc3\xa9|\xe6\x9c|\0|x|\xff".split(b"|")
FRAGMENTS = st.sampled_from(FIELDS + BYTES)
STREAMS = st.lists(FRAGMENTS | st.binary(max_size=3), max_size=30).map(b"".join)


@pytest.mark.parametrize(("stream", "events", "left"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
class TestStandard:
    def test_the_oracle_agrees_with_the_table(self, stream: bytes, events: Events, left: Any) -> None:
        assert oracle(stream)[:2] == (events, left)

    def test_one_read_gives_the_events(self, twin: ModuleType, stream: bytes, events: Events, left: Any) -> None:
        assert outcome(twin, [stream]) == (events, left, *oracle(stream)[2:])

    def test_every_two_and_three_reads_give_the_events(
        self, twin: ModuleType, stream: bytes, events: Events, left: Any
    ) -> None:
        whole = Outcome(events, left, *oracle(stream)[2:])
        for places in [*combinations(range(len(stream) + 1), 1), *combinations(range(len(stream) + 1), 2)]:
            assert outcome(twin, cut(stream, places)) == whole, places

    def test_single_bytes_and_empty_reads_give_the_events(
        self, twin: ModuleType, stream: bytes, events: Events, left: Any
    ) -> None:
        reads = [read for index in range(len(stream)) for read in (b"", stream[index : index + 1])]
        assert outcome(twin, reads) == (events, left, *oracle(stream)[2:])


@settings(max_examples=150)
@given(stream=STREAMS, data=st.data())
@example(stream=b"\xef\xbb\xbf\xef\xbb\xbf\rdata\r\n\r", data=None)
def test_any_stream_in_any_reads_agrees_with_the_oracle(twin: ModuleType, stream: bytes, data: Any) -> None:
    expected = oracle(stream)
    for place in range(len(stream) + 1):
        assert outcome(twin, cut(stream, [place])) == expected
    if data is not None:
        places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
        assert outcome(twin, cut(stream, places)) == expected


@settings(max_examples=150)
@given(stream=STREAMS, limit=st.integers(1, 12), places=st.lists(st.integers(0, 60), max_size=4))
def test_the_limit_is_met_or_passed_whatever_the_reads(
    twin: ModuleType, stream: bytes, limit: int, places: list[int]
) -> None:
    expected = outgrows(stream, limit)
    assert overflows(twin, [stream], limit) == expected
    assert overflows(twin, cut(stream, [min(place, len(stream)) for place in places]), limit) == expected
    assert overflows(twin, cut(stream, range(len(stream))), limit) == expected


def test_an_event_is_given_out_by_the_cr_that_ends_it_not_by_the_next_read(twin: ModuleType) -> None:
    decoder = twin.SseDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [("message", b"a")]
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: b\n\n") == [("message", b"b")]


def test_data_are_raw_bytes(twin: ModuleType) -> None:
    assert twin.SseDecoder().feed(b"data: \xff\xe6\ndata:\xc3\n\n") == [("message", b"\xff\xe6\n\xc3")]


def test_a_character_cut_by_reads_arrives_whole(twin: ModuleType) -> None:
    decoder = twin.SseDecoder()
    assert [decoder.feed(bytes([byte])) for byte in "event: 🙂\ndata: 木\n\n".encode()][-1] == [("🙂", "木".encode())]


class TestIdAndRetry:
    def test_an_id_counts_from_the_blank_line_on_and_persists(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        decoder.feed(b"id: 1\ndata: a\n")
        assert decoder.last_event_id == ""
        decoder.feed(b"\ndata: b\n\n")
        assert decoder.last_event_id == "1"

    def test_an_id_without_data_counts_and_an_empty_one_clears(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        assert decoder.feed(b"id: 1\n\n") == [] and decoder.last_event_id == "1"
        assert decoder.feed(b"id\n\n") == [] and decoder.last_event_id == ""

    def test_an_id_with_nul_is_ignored(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        decoder.feed(b"id: 1\n\nid: 2\0\n\n")
        assert decoder.last_event_id == "1"

    def test_an_id_is_decoded_with_replacement(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        decoder.feed(b"id: \xc3\xa9\xff\n\n")
        assert decoder.last_event_id == "\xe9\ufffd"

    @pytest.mark.parametrize(
        ("value", "retry"),
        [
            (b": 3000", 3000),
            (b":007", 7),
            (b": 0", 0),
            (b":" + b"9" * 18, 10**18 - 1),
            (b":" + b"9" * 19, None),
            (b":" + b"9" * 5000, None),
            (b"", None),
            (b":", None),
            (b":  1", None),
            (b": 1 ", None),
            (b": -1", None),
            (b": +1", None),
            (b": 1_0", None),
            (b": 1.5", None),
            (": ٣".encode(), None),
        ],
    )
    def test_retry_takes_ascii_digits_only(self, twin: ModuleType, value: bytes, retry: int | None) -> None:
        decoder = twin.SseDecoder()
        decoder.feed(b"retry" + value + b"\n")
        assert decoder.retry == retry

    def test_both_outlive_the_end_of_a_stream(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        decoder.feed(b"retry: 10\nid: 1\ndata: a\n\nid: 2\ndata: b\n")
        assert decoder.finish() == ("message", b"b")
        assert (decoder.last_event_id, decoder.retry) == ("1", 10)
        decoder.feed(b"data: c\n\n")
        assert (decoder.last_event_id, decoder.retry) == ("1", 10)


class TestFinish:
    def test_it_leaves_the_decoder_ready_for_the_next_stream(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        decoder.feed(b"event: x\ndata: a\ndata: b\r")
        assert decoder.finish() == ("x", b"a\nb")
        assert decoder.finish() is None
        assert decoder.feed(b"\n\xef\xbb\xbf\n") == []
        assert decoder.finish() is None
        assert decoder.feed(b"\xef\xbb\xbfdata: c\n\n") == [("message", b"c")]

    def test_a_final_answer_without_any_line_end_is_found(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        assert decoder.feed(b"data: [DO") == decoder.feed(b"NE]") == []
        assert decoder.finish() == ("message", b"[DONE]")


class TestLimit:
    def test_an_event_of_the_limit_passes_and_one_byte_more_does_not(self, twin: ModuleType) -> None:
        assert twin.SseDecoder(9).feed(b"data: 123\n\n") == [("message", b"123")]
        with pytest.raises(ProviderError, match="larger than `8` bytes; ask for"):
            twin.SseDecoder(8).feed(b"data: 123\n\n")

    def test_each_event_has_the_limit_for_itself(self, twin: ModuleType) -> None:
        assert twin.SseDecoder(9).feed(b"data: 123\n\n" * 50) == [("message", b"123")] * 50

    def test_comments_that_keep_the_line_alive_do_not_add_up(self, twin: ModuleType) -> None:
        assert twin.SseDecoder(9).feed(b": ping\n" * 50 + b"data: 1\n\n") == [("message", b"1")]

    def test_lines_of_one_event_add_up_over_reads(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder(64)
        with pytest.raises(ProviderError):
            for _ in range(64):
                assert decoder.feed(b"data:\n") == []

    def test_after_it_every_feed_raises_until_finish(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder(8)
        for data in (b"data: 1234", b"", b"\n\n", b"data: 1\n\n"):
            with pytest.raises(ProviderError):
                decoder.feed(data)
        assert decoder.finish() is None
        assert decoder.feed(b"data: 1\n\n") == [("message", b"1")]

    def test_it_is_a_positive_number(self, twin: ModuleType) -> None:
        for limit in (0, -1):
            with pytest.raises(ValueError, match=f"`limit` is `{limit}`; give at least 1 byte"):
                twin.SseDecoder(limit)
        assert twin.SseDecoder(limit=1 << 200).feed(b"data\n\n") == [("message", b"")]

    def test_the_largest_event_arrives_in_small_reads(self, twin: ModuleType) -> None:
        """Work that grew with the square of the reads would copy two terabytes here."""
        decoder = twin.SseDecoder()
        read = b"x" * 1024
        decoder.feed(b"data:" + b"x" * 1019)
        assert not any(decoder.feed(read) for _ in range((64 << 10) - 1))
        [(name, data)] = decoder.feed(b"\n\n")
        assert (name, len(data), data.count(b"x")) == ("message", (64 << 20) - 5, (64 << 20) - 5)

    def test_an_event_of_a_million_lines_arrives_in_small_reads(self, twin: ModuleType) -> None:
        decoder = twin.SseDecoder()
        read = b"data:x\r" * 200
        assert not any(decoder.feed(read) for _ in range(5000))
        assert decoder.feed(b"\r") == [("message", b"x\n" * 999_999 + b"x")]


@pytest.mark.parametrize("data", ["data: a\n\n", bytearray(b"x"), memoryview(b"x"), None, 7])
def test_only_bytes_are_taken(twin: ModuleType, data: Any) -> None:
    with pytest.raises(TypeError, match=f"`feed` takes `bytes`, not `{type(data).__name__}`"):
        twin.SseDecoder().feed(data)


def test_a_subclass_of_bytes_is_taken(twin: ModuleType) -> None:
    class Read(bytes):
        pass

    [(_, data)] = twin.SseDecoder().feed(Read(b"data: a\n\n"))
    assert data == b"a" and type(data) is bytes
