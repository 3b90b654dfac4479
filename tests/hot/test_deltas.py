"""Fused chat chunks say what the chunks say: both twins against the JSON library, on ordinary and hostile payloads."""

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HOT = "deltas"
TEXT, REASONING, ARGUMENTS = 0, 1, 2


def chunk(delta: Any, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def arguments(text: str, index: Any = 0, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": text}, **more}]}


def frame(value: Any) -> tuple[str, bytes]:
    return "message", value if isinstance(value, bytes) else json.dumps(value).encode()


def test_neighbouring_deltas_of_a_kind_become_one_piece(twin: ModuleType) -> None:
    frames = [frame(chunk({"reasoning_content": "a"})), frame(chunk({"reasoning": "b"}))]
    frames += [frame(chunk({"content": text})) for text in ("x", "", "y")]
    frames += [frame(chunk(arguments("{", 0))), frame(chunk(arguments("}", 0))), frame(chunk(arguments("{}", 1)))]
    assert twin.fuse(frames) == [
        (REASONING, 0, "ab"),
        (TEXT, 0, "xy"),
        (ARGUMENTS, 0, "{}"),
        (ARGUMENTS, 1, "{}"),
    ]


UNUSUAL = [
    b"",
    b"[DONE]",
    b"null",
    b"{}",
    b'{"choices":[]}',
    b'{"choices":[{"index":0,"delta":{"content":"cut',
    b'{"choices":[{"index":0,"delta":{"content":"a"}}]} x',
    b'{"choices":[{"index":0,"delta":{"content":"a\nb"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"\\q"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"\\u00"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"a"},"n":01}]}',
    b'{"choices":[{"index":0,"delta":{"content":"a"},"n":1.}]}',
    b'{"choices":[{"index":0,"delta":{"content":"a",}}]}',
    chunk({}),
    chunk(None),
    chunk({"role": "assistant"}),
    chunk({"content": "a"}, error={"message": "x"}),
    chunk({"content": "a"}, usage={"prompt_tokens": 1}),
    chunk({"content": "a"}, x_groq={"usage": {}}),
    chunk({"content": ["a"]}),
    chunk({"content": "a", "reasoning": "b"}),
    chunk({"content": "a", "refusal": "b"}),
    chunk({"content": "a"} | arguments("{}")),
    chunk({"reasoning_details": [{"text": "a"}, {"text": "b"}]}),
    chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}),
    chunk({"reasoning_details": [{"text": "", "summary": "a"}]}),
    chunk({"reasoning_details": {"text": "a"}}),
    chunk({"content": "a", "reasoning_details": [{"text": "b"}]}),
    chunk({"reasoning_details": [{"text": "b"}]} | arguments("{}")),
    b'{"choices":[{"index":0,"delta":{"reasoning":"a","reasoning_details":[{"text":"a"},]}}]}',
    chunk(arguments("{}", id="c")),
    chunk(arguments("{}", None)),
    chunk(arguments("{}", -1)),
    chunk(arguments("{}", 1.5)),
    chunk(arguments("{}", 12345)),
    chunk({"tool_calls": [{"index": 0, "function": {"name": "read", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": {"a": 1}}}]}),
    chunk({"tool_calls": []}),
    {"choices": [{"index": 1, "delta": {"content": "a"}}]},
    {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]},
    {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]},
]


@pytest.mark.parametrize("payload", UNUSUAL, ids=lambda each: str(each)[:60])
def test_anything_unusual_passes_as_the_frame_it_was(twin: ModuleType, payload: Any) -> None:
    odd, plain = frame(payload), frame(chunk({"content": "a"}))
    assert twin.fuse([plain, odd, plain]) == [(TEXT, 0, "a"), odd, (TEXT, 0, "a")]


@pytest.mark.parametrize("text", [b"\\ud83d", b"a\\ude00b", b"\\ud83dx", b"\\ud83d\\ud83d\\ude00", b"\\ud83d\\n"])
def test_half_a_surrogate_pair_is_kept_as_it_is(twin: ModuleType, text: bytes) -> None:
    frames = [("message", b'{"choices":[{"index":0,"delta":{"content":"' + text + b'"}}]}')]
    assert meaning(twin.fuse(frames)) == [(TEXT, 0, json.loads(b'"' + text + b'"'))]


def test_events_with_a_name_pass(twin: ModuleType) -> None:
    named = ("error", frame(chunk({"content": "a"}))[1])
    assert twin.fuse([named]) == [named]


ORDINARY = [
    ({"content": "a", "role": "assistant", "refusal": None, "tool_calls": None}, (TEXT, 0, "a")),
    ({"content": 'é€😀\n\t"\\/'}, (TEXT, 0, 'é€😀\n\t"\\/')),
    ({"content": "", "reasoning_content": "why"}, (REASONING, 0, "why")),
    ({"reasoning": "why", "content": None}, (REASONING, 0, "why")),
    ({"content": "", "reasoning": "why", "reasoning_details": [{"type": "t", "text": "why"}]}, (REASONING, 0, "why")),
    ({"reasoning_details": [{"text": "why\n", "index": 0, "format": None}], "content": ""}, (REASONING, 0, "why\n")),
    ({"reasoning": "", "reasoning_details": [{"text": "why"}]}, (REASONING, 0, "why")),
    ({"content": "a", "reasoning_details": []}, (TEXT, 0, "a")),
    (arguments('{"a": "\\u00e9"}', 7, type="function", id=""), (ARGUMENTS, 7, '{"a": "\\u00e9"}')),
    ({"content": None, "role": "assistant"} | arguments("x"), (ARGUMENTS, 0, "x")),
]


@pytest.mark.parametrize(("delta", "piece"), ORDINARY)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_ordinary_chunks_become_pieces(twin: ModuleType, delta: Any, piece: Any, ascii_only: bool) -> None:
    payload = json.dumps(chunk(delta, usage=None), ensure_ascii=ascii_only).encode()
    assert twin.fuse([("message", payload)]) == [piece]


def meaning(items: list[Any]) -> list[Any]:
    """What a list of frames and pieces says, a frame read by the reference; neighbours joined."""
    from nanocode.hot.deltas import fuse

    said: list[Any] = []
    for item in items:
        for each in [item] if len(item) == 3 else fuse([item]):
            if len(each) == 3 and said and len(said[-1]) == 3 and said[-1][:2] == each[:2]:
                said[-1] = (*each[:2], said[-1][2] + each[2])
            else:
                said.append(each)
    return said


texts = st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\/\n\t\x00é€😀')), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", None]),
        "content": texts | st.none(),
        "reasoning_content": texts | st.none(),
        "reasoning": texts | st.none(),
        "refusal": st.none() | texts,
        "reasoning_details": st.none() | st.lists(st.dictionaries(st.sampled_from(["text", "n"]), scalars), max_size=2),
        "tool_calls": st.none() | st.builds(lambda t, i: arguments(t, i)["tool_calls"], texts, st.integers(0, 3)),
        "extra": values,
    },
)
chunks = st.builds(lambda delta, more: chunk(delta) | more, deltas, st.dictionaries(texts, values, max_size=2))


@settings(max_examples=150)
@given(st.lists(chunks, max_size=5), st.booleans())
def test_pieces_say_what_the_chunks_say(twin: ModuleType, parts: list[Any], ascii_only: bool) -> None:
    frames = [("message", json.dumps(part, ensure_ascii=ascii_only).encode("utf-8", "replace")) for part in parts]
    assert meaning(twin.fuse(frames)) == meaning(frames)


@settings(max_examples=250)
@given(chunks, st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 3), st.booleans())
def test_a_damaged_payload_never_says_something_else(
    twin: ModuleType, part: Any, at: int, put: bytes, drop: int, ascii_only: bool
) -> None:
    payload = json.dumps(part, ensure_ascii=ascii_only).encode("utf-8", "replace")
    at %= len(payload)
    frames = [("message", payload[:at] + put + payload[at + drop :])]
    assert meaning(twin.fuse(frames)) == meaning(frames)


ODD = [b"", b"\\n", b'\\"', b"\\u00e9", "é".encode(), b"!#[]", b"\x7f", b"\n", b"\x1f", b"\\q"]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_in_a_string_is_seen_wherever_it_stands(twin: ModuleType, odd: bytes) -> None:
    for before in range(18):
        for after in range(10):
            text = b"a" * before + odd + b"b" * after
            payload = b'{"choices":[{"delta":{"content":"' + text + b'"}}]}'
            try:
                said = [(TEXT, 0, json.loads(payload)["choices"][0]["delta"]["content"])]
            except ValueError:
                said = [("message", payload)]
            assert twin.fuse([("message", payload)]) == [each for each in said if each[2:] != ("",)]


@pytest.mark.parametrize("depth", [3, 15, 17, 100_000])
def test_deep_nesting_neither_crashes_nor_lies(twin: ModuleType, depth: int) -> None:
    payload = b'{"deep":' + b"[" * depth + b"]" * depth + b',"choices":[{"index":0,"delta":{"content":"a"}}]}'
    assert meaning(twin.fuse([("message", payload)])) == meaning([("message", payload)])


SAYING = [
    lambda text: {"role": "assistant", "content": text},
    lambda text: {"content": text, "reasoning": ""},
    lambda text: {"reasoning_content": text, "content": None},
    lambda text: {"content": "", "reasoning": text, "reasoning_details": [{"type": "t", "text": text, "index": 0}]},
    lambda text: {"reasoning_details": [{"text": text, "index": 0}], "content": "", "reasoning": text},
    lambda text: {"reasoning_details": [{"text": text}]},
    lambda text: arguments(text, 2),
]


@pytest.mark.parametrize("say", range(len(SAYING)))
@pytest.mark.parametrize("put", [b"", b'"', b"\\", b"x", b"\xc3", b"0", b"\n"])
def test_a_chunk_that_is_like_an_earlier_one_but_for_a_byte_never_says_the_same_by_mistake(
    twin: ModuleType, say: int, put: bytes
) -> None:
    before = frame(chunk(SAYING[say]("one")))
    payload = frame(chunk(SAYING[say]("other")))[1]
    for at in range(len(payload) + 1):
        for drop in (0, 1):
            frames = [before, ("message", payload[:at] + put + payload[at + drop :])]
            assert meaning(twin.fuse(frames)) == meaning(frames)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(SAYING) - 1), texts, texts), max_size=8), st.booleans(), st.booleans())
def test_chunks_alike_but_for_their_texts_say_their_own(
    twin: ModuleType, parts: list[Any], ascii_only: bool, doubled: bool
) -> None:
    frames = []
    for say, text, other in parts:
        delta = SAYING[say](text)
        if "reasoning_details" in delta and not doubled:
            delta["reasoning_details"][0]["text"] = other
        frames.append(("message", json.dumps(chunk(delta), ensure_ascii=ascii_only).encode("utf-8", "replace")))
    assert meaning(twin.fuse(frames)) == meaning(frames)


@pytest.mark.parametrize("size", [100, 900, 1100, 5000])
def test_a_long_envelope_and_a_long_text_are_no_trouble(twin: ModuleType, size: int) -> None:
    for short, padded in [("a", "p" * size), ("t" * size, "p")]:
        frames = [frame(chunk({"content": short + each}, pad=padded)) for each in "xyz"]
        assert twin.fuse(frames) == [(TEXT, 0, f"{short}x{short}y{short}z")]
