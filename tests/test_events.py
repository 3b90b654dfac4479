"""Messages and events as values: JSON both ways, and the names that programs rely on."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.events import Event, MessageAdded, RunEnded, ToolEnded, UsageReported, decode, encode
from nanocode.messages import Assistant, Call, Image, Message, System, ToolAnswer, Usage, User, from_json, to_json

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
COUNTS = st.integers(0, 10**6)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS)
IMAGES = st.lists(st.builds(Image, WORDS, WORDS), max_size=2).map(tuple)
CALLS = st.lists(st.builds(Call, WORDS, WORDS, WORDS), max_size=2).map(tuple)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(System, WORDS),
    st.builds(User, WORDS, IMAGES),
    st.builds(Assistant, WORDS, WORDS, CALLS, st.none() | USAGES, WORDS),
    st.builds(ToolAnswer, WORDS, WORDS, WORDS, st.booleans(), IMAGES),
)


def built(kind: type[Any]) -> st.SearchStrategy[Event]:
    """Any value of one kind of event, each field by its name's type."""
    by_name: dict[str, st.SearchStrategy[Any]] = {
        "message": MESSAGES,
        "messages": st.lists(MESSAGES, max_size=3).map(tuple),
        "usage": USAGES,
        "args": st.dictionaries(WORDS, WORDS, max_size=2) | WORDS,
        "cost": st.none() | st.floats(0, 100),
        "delay": st.floats(0, 100),
        "is_error": st.booleans(),
        "duration_ms": COUNTS,
        "attempt": COUNTS,
        "before": COUNTS,
        "after": COUNTS,
        "background": st.booleans(),
        "seconds": st.floats(0, 100),
        "steering": st.lists(WORDS, max_size=2).map(tuple),
        "followups": st.lists(WORDS, max_size=2).map(tuple),
    }
    return st.builds(kind, **{name: by_name.get(name, WORDS) for name in (field.name for field in fields(kind))})


@given(MESSAGES)
def test_a_message_comes_back_from_json(message: Message) -> None:
    assert from_json(json.loads(json.dumps(to_json(message)))) == message


@pytest.mark.parametrize("kind", Event.__args__, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_comes_back_from_its_line(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(built(kind))
    line = encode(event)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line) == event


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"null", b'{"type":"nope"}', b'{"type":"notice"}', b"{"])
def test_what_is_no_event_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


def test_the_names_that_programs_rely_on() -> None:
    said = json.loads(encode(MessageAdded(Assistant("hi", calls=(Call("a", "ls", "{}"),)))))
    assert (said["type"], said["role"], said["text"]) == ("message_end", "assistant", "hi")
    assert said["toolCalls"] == [{"id": "a", "name": "ls", "arguments": "{}"}]
    ended = json.loads(encode(ToolEnded("a", "ls", "x", True, 3)))
    assert ended == {
        "type": "tool_end",
        "id": "a",
        "name": "ls",
        "result": "x",
        "isError": True,
        "durationMs": 3,
        "details": "",
    }
    usage = json.loads(encode(UsageReported(Usage(1, 2, 3), None)))
    assert usage == {"type": "usage", "usage": {"input": 1, "output": 2, "cached": 3}, "cost": None}
    run = json.loads(encode(RunEnded("hi", (User("a"),), "done", Usage(), 0.5)))
    assert set(run) == {"type", "text", "messages", "stopReason", "usage", "cost", "error", "hint"}
