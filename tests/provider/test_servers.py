"""What chat-completions servers get wrong, as one table: bytes in, the same message out, however the reads cut them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from peer import DONE, call, chunk, reasoning, sse, text

from nanocode.errors import ContextOverflow, ProviderError, TransientError
from nanocode.events import CallStarted, Event, ReasoningDelta, TextDelta
from nanocode.messages import Assistant, Call, Usage
from nanocode.provider.assemble import Assembly
from nanocode.provider.stream import ChatStream

# Every cut of a longer body would take minutes; these get some cuts around each line end.
SHORT = 1500
END = chunk({}, "stop") + DONE
CALLED = chunk({}, "tool_calls") + DONE


def answer(reads: Sequence[bytes], taken: Sequence[str] = ()) -> Assistant:
    """The message of a body that came in these reads; its deltas must say the same."""
    assembly, stream = Assembly(), ChatStream("POST http://x")
    events: list[Event] = []
    for data in reads:
        events += assembly.add(stream.feed(data))
    events += assembly.end(stream.close(), stream.done)
    message = assembly.finish(taken)
    assert "".join(each.text for each in events if isinstance(each, TextDelta)) == message.text
    assert "".join(each.text for each in events if isinstance(each, ReasoningDelta)) == message.reasoning
    assert [each.name for each in events if isinstance(each, CallStarted)] == [each.name for each in message.calls]
    return message


def cuts(body: bytes) -> Iterator[list[bytes]]:
    yield [body]
    yield [body[at : at + 1] for at in range(len(body))]
    ends = {at + near for at in range(len(body)) if body[at : at + 1] in b"\r\n" for near in (-1, 0, 1, 2)}
    for at in range(1, len(body)) if len(body) <= SHORT else sorted(ends):
        yield [body[:at], body[at:]]


def said(words: str = "hi", **more: Any) -> Assistant:
    return Assistant(words, **more)


def calls(*wanted: tuple[str, str, str], words: str = "") -> Assistant:
    return Assistant(words, calls=tuple(Call(*each) for each in wanted), stop="calls")


def piece(**fields: Any) -> bytes:
    """A chunk with one piece of a tool call."""
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return chunk({"tool_calls": [{**fields, "function": function}]})


def choice(**fields: Any) -> bytes:
    return sse({"choices": [{"index": 0, **fields}]})


COUNTED = {"prompt_tokens": 7, "completion_tokens": 3}
USAGE = Usage(7, 3, 0)
READ = ("a", "read", '{"path":"x"}')
LIST = ("b", "ls", "{}")
SEPARATORS = "one\u2028two\u2029three\u0085four\u000bfive\u000csix"


def joined(*parts: bytes | list[bytes]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else b"".join(part) for part in parts)


WHOLE: dict[str, tuple[bytes, Assistant]] = {
    "1 separators inside JSON are data": (
        sse(json.dumps({"choices": [{"delta": {"content": SEPARATORS}}]}, ensure_ascii=False).encode()) + END,
        said(SEPARATORS),
    ),
    "2 no [DONE]": (joined(text("hi"), chunk({}, "stop")), said()),
    "2 [DONE] and no finish": (joined(text("hi"), DONE), said()),
    "5 comments keep alive": (joined(b": ping\n\n", text("hi"), b": ping\n\n", END), said()),
    "6 no choices": (joined(sse({"choices": []}), sse({"id": "x"}), sse(b"null"), text("hi"), END), said()),
    "6 choices null": (joined(sse({"choices": None}), text("hi"), END), said()),
    "7 usage in the last chunk": (
        joined(text("hi"), chunk({}, "stop"), sse({"choices": [], "usage": COUNTED}), DONE),
        said(usage=USAGE),
    ),
    "7 usage in every chunk, null in between": (
        joined(
            chunk({"content": "h"}, usage={"prompt_tokens": 7, "completion_tokens": 1}),
            chunk({"content": "i"}, usage=COUNTED),
            chunk({}, "stop", usage=None),
            DONE,
        ),
        said(usage=USAGE),
    ),
    "7 usage in the choice (Moonshot)": (
        joined(text("hi"), choice(delta={}, finish_reason="stop", usage=COUNTED), DONE),
        said(usage=USAGE),
    ),
    "7 usage in x_groq": (joined(text("hi"), chunk({}, "stop", x_groq={"usage": COUNTED}), DONE), said(usage=USAGE)),
    "7 cached tokens of OpenAI": (
        joined(text("hi"), chunk({}, "stop", usage={**COUNTED, "prompt_tokens_details": {"cached_tokens": 5}})),
        said(usage=Usage(7, 3, 5)),
    ),
    "7 cached tokens of DeepSeek": (
        joined(text("hi"), chunk({}, "stop", usage={**COUNTED, "prompt_cache_hit_tokens": 5})),
        said(usage=Usage(7, 3, 5)),
    ),
    "7 cached tokens of Kimi": (
        joined(text("hi"), chunk({}, "stop", usage={**COUNTED, "cached_tokens": 5})),
        said(usage=Usage(7, 3, 5)),
    ),
    "8 calls without index: a new id is a new call": (
        joined(
            piece(id="a", name="read", arguments='{"path":'),
            piece(arguments='"x"}'),
            piece(id="b", name="ls", arguments="{}"),
            CALLED,
        ),
        calls(READ, LIST),
    ),
    "9 every call is index 0, with ids": (
        joined(
            piece(index=0, id="a", name="read", arguments='{"path":"x"}'),
            piece(index=0, id="b", name="ls", arguments="{}"),
            CALLED,
        ),
        calls(READ, LIST),
    ),
    "9 every call is index 0, without ids (Ollama)": (
        joined(
            piece(index=0, name="read", arguments='{"path":"x"}'), piece(index=0, name="ls", arguments="{}"), CALLED
        ),
        calls(("call_0", *READ[1:]), ("call_1", *LIST[1:])),
    ),
    "9 the same tool twice at index 0, whole each time": (
        joined(
            piece(index=0, name="read", arguments='{"path":"x"}'),
            piece(index=0, name="read", arguments='{"path":"y"}'),
            CALLED,
        ),
        calls(("call_0", *READ[1:]), ("call_1", "read", '{"path":"y"}')),
    ),
    "10 the same index twice in a chunk": (
        joined(
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "a", "function": {"name": "read", "arguments": '{"pa'}},
                        {"index": 0, "function": {"arguments": 'th":"x"}'}},
                    ]
                }
            ),
            CALLED,
        ),
        calls(READ),
    ),
    "10 the first index is above 0": (
        joined(piece(index=3, id="a", name="read", arguments='{"path":"x"}'), CALLED),
        calls(READ),
    ),
    "10 two calls written in turns": (
        joined(
            piece(index=0, id="a", name="read", arguments='{"path"'),
            piece(index=1, id="b", name="ls", arguments="{"),
            piece(index=0, arguments=':"x"}'),
            piece(index=1, arguments="}"),
            CALLED,
        ),
        calls(READ, LIST),
    ),
    "11 empty id and name are absent": (
        joined(
            piece(index=0, id="a", name="read", arguments=""),
            piece(index=0, id="", name="", arguments='{"path":"x"}'),
            CALLED,
        ),
        calls(READ),
    ),
    "11 null id and name are absent": (
        joined(
            piece(index=0, id="a", name="read", arguments=None),
            piece(index=0, id=None, name=None, arguments='{"path":"x"}'),
            CALLED,
        ),
        calls(READ),
    ),
    "12 the name after the arguments": (
        joined(piece(index=0, id="a", arguments='{"path":"x"}'), piece(index=0, name="read", arguments=""), CALLED),
        calls(READ),
    ),
    "12 the name in each piece": (
        joined(
            piece(index=0, id="a", name="read", arguments='{"path"'),
            piece(index=0, name="read", arguments=':"x"}'),
            CALLED,
        ),
        calls(READ),
    ),
    "12 a new id in each piece of one call": (
        joined(
            piece(index=0, id="a", name="read", arguments='{"path"'), piece(index=0, id="z", arguments=':"x"}'), CALLED
        ),
        calls(READ),
    ),
    "12 no id": (joined(piece(index=0, name="ls", arguments="{}"), CALLED), calls(("call_0", "ls", "{}"))),
    "13 arguments as an object": (
        joined(piece(index=0, id="a", name="read", arguments={"path": "x"}), CALLED),
        calls(READ),
    ),
    "13 no arguments": (joined(piece(index=0, id="b", name="ls"), CALLED), calls(("b", "ls", ""))),
    "13 a whole JSON prefix is not the end": (
        joined(piece(index=0, id="a", name="read", arguments="{}"), piece(index=0, arguments=" "), CALLED),
        calls(("a", "read", "{} ")),
    ),
    "13 malformed arguments are kept as they came": (
        joined(piece(index=0, id="a", name="read", arguments='{"path":'), CALLED),
        calls(("a", "read", '{"path":')),
    ),
    "14 the same id for two calls": (
        joined(
            piece(index=0, id="functions.ls:0", name="ls", arguments="{}"),
            piece(index=1, id="functions.ls:0", name="ls", arguments="{}"),
            CALLED,
        ),
        calls(("functions.ls:0", "ls", "{}"), ("functions.ls:0-2", "ls", "{}")),
    ),
    "15 stop with calls": (joined(piece(index=0, id="b", name="ls", arguments="{}"), END), calls(LIST)),
    "15 tool_calls with none": (joined(text("hi"), CALLED), said()),
    "16 an unknown reason": (joined(text("hi"), chunk({}, "eos"), DONE), said()),
    "16 end": (joined(text("hi"), chunk({}, "end"), DONE), said()),
    "16 the empty reason": (joined(text("hi"), chunk({}, ""), DONE), said()),
    "16 function_call": (
        joined(chunk({"function_call": {"name": "ls", "arguments": "{}"}}), chunk({}, "function_call"), DONE),
        calls(("call_0", "ls", "{}")),
    ),
    "16 length in mid call": (
        joined(piece(index=0, id="a", name="read", arguments='{"pa'), chunk({}, "length"), DONE),
        Assistant(calls=(Call("a", "read", '{"pa'),), stop="length"),
    ),
    "17 reasoning": (
        joined(reasoning("so", name="reasoning"), text("hi"), END),
        said(reasoning="so"),
    ),
    "17 reasoning_content": (joined(reasoning("so"), text("hi"), END), said(reasoning="so")),
    "17 reasoning_text": (joined(reasoning("so", name="reasoning_text"), text("hi"), END), said(reasoning="so")),
    "17 reasoning_details": (
        joined(chunk({"reasoning_details": [{"type": "reasoning.text", "text": "so"}]}), text("hi"), END),
        said(reasoning="so"),
    ),
    "17 two spellings at once": (
        joined(chunk({"reasoning": "so", "reasoning_content": "so"}), text("hi"), END),
        said(reasoning="so"),
    ),
    "17 three spellings at once": (
        joined(
            chunk({"reasoning": "so", "reasoning_details": [{"type": "reasoning.text", "text": "so"}], "content": ""}),
            text("hi"),
            END,
        ),
        said(reasoning="so"),
    ),
    "18 content as parts (Mistral)": (
        joined(chunk({"content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}), END),
        said(),
    ),
    "19 delta null or missing": (joined(choice(delta=None), choice(), text("hi"), END), said()),
    "19 message instead of delta": (joined(choice(message={"content": "hi"}, finish_reason="stop"), DONE), said()),
    "19 a plain JSON body": (
        json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": COUNTED}).encode(),
        said(usage=USAGE),
    ),
    "19 a plain JSON body with calls": (
        json.dumps(
            {
                "choices": [
                    {
                        "message": {
                            "content": None,
                            "tool_calls": [{"id": "a", "function": {"name": "read", "arguments": '{"path":"x"}'}}],
                        },
                        "finish_reason": "tool_calls",
                    }
                ]
            },
            indent=1,
        ).encode(),
        calls(READ),
    ),
    "19 more than one choice": (
        joined(sse({"choices": [{"index": 1, "delta": {"content": "no"}}]}), text("hi"), END),
        said(),
    ),
    "20 a surrogate pair in two deltas": (
        joined(
            sse(b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}'),
            sse(b'{"choices":[{"delta":{"content":"\\ude00b"}}]}'),
            END,
        ),
        said("a😀b"),
    ),
    "20 half a surrogate pair": (
        joined(
            sse(b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}'),
            sse(b'{"choices":[{"delta":{"content":"b"}}]}'),
            END,
        ),
        said("a\ufffdb"),
    ),
    "20 half a surrogate pair at the end": (
        joined(sse(b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}'), END),
        said("a\ufffd"),
    ),
    "20 a surrogate pair cut in an argument": (
        joined(
            sse(
                b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"ls","arguments":"\\ud83d"}}]}}]}'
            ),
            sse(b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\ude00"}}]}}]}'),
            CALLED,
        ),
        calls(("a", "ls", "😀")),
    ),
    "21 NaN, Infinity, unknown keys, any order": (
        joined(
            sse(
                b'{"x":NaN,"y":[-Infinity,{}],"choices":[{"finish_reason":null,"logprobs":NaN,"delta":{"content":"hi"},"index":0}]}'
            ),
            END,
        ),
        said(),
    ),
    "21 a final event of 12 KB": (
        joined(text("hi"), chunk({}, "stop", padding="x" * 12_000, usage=COUNTED), DONE),
        said(usage=USAGE),
    ),
    "22 a leading BOM": (b"\xef\xbb\xbf" + joined(text("hi"), END), said()),
    "22 CR only": (joined(text("hi"), END).replace(b"\n", b"\r"), said()),
    "22 CRLF": (joined(text("hi"), END).replace(b"\n", b"\r\n"), said()),
    "22 one bad byte": (joined(sse(b'{"choices":[{"delta":{"content":"h\xffi"}}]}'), END), said("h\ufffdi")),
    "23 usage is cumulative": (
        joined(
            chunk({"content": "h"}, usage={"prompt_tokens": 3, "completion_tokens": 1}),
            chunk({"content": "i"}, "stop", usage=COUNTED),
        ),
        said(usage=USAGE),
    ),
    "no blank after the last event": (joined(text("hi"), chunk({}, "stop")[:-2]), said()),
    "no space after the colon": (joined(text("hi"), END).replace(b"data: ", b"data:"), said()),
    "an event in two data lines": (
        b'data: {"choices":[{"delta":\ndata: {"content":"hi"}}]}\n\n' + END,
        said(),
    ),
    "event, id and retry lines": (b"retry: 10\n\nevent: message\nid: 4\n" + joined(text("hi", 1), END), said()),
    "a refusal is text": (joined(chunk({"refusal": "no"}), END), said("no")),
    "usage that is no number": (
        joined(text("hi"), chunk({}, "stop", usage={"prompt_tokens": "7", "completion_tokens": None})),
        said(usage=Usage(0, 0, 0)),
    ),
}


@pytest.mark.parametrize(("body", "wanted"), WHOLE.values(), ids=WHOLE)
def test_an_odd_but_whole_answer_is_taken_at_every_cut(body: bytes, wanted: Assistant) -> None:
    for reads in cuts(body):
        assert answer(reads) == wanted


BROKEN: dict[str, tuple[bytes, type[Exception], str]] = {
    "3 no finish, no [DONE]": (joined(text("hi")), TransientError, "ended before"),
    "3 no finish in mid call": (joined(call("bash", {"command": "x"})), TransientError, "ended before"),
    "3 nothing at all": (b"", TransientError, "ended before"),
    "4 an error in band": (
        joined(text("hi"), sse({"error": {"message": "died", "code": 502}})),
        TransientError,
        "died",
    ),
    "4 an error as text": (joined(text("hi"), sse({"error": "died"}), DONE), TransientError, "died"),
    "4 a finish_reason that says nothing": (joined(chunk({"content": "hi"}, "")), TransientError, "ended before"),
    "4 a finish_reason that is no text": (
        joined(choice(delta={"content": "hi"}, finish_reason={"type": "stop"})),
        TransientError,
        "ended before",
    ),
    "4 finish_reason error": (joined(text("hi"), chunk({}, "error"), DONE), TransientError, "error"),
    "4 an error in the choice": (joined(choice(error={"message": "died"}, delta={})), TransientError, "died"),
    "4 a bad request in band": (sse({"error": {"message": "odd", "code": 400}}), ProviderError, "odd"),
    "4 a limit of the account in band": (
        sse({"error": {"message": "no more", "type": "GoUsageLimitError"}}),
        ProviderError,
        "no more",
    ),
    "4 too much context in band": (
        sse({"error": {"message": "maximum context length is 10 tokens"}}),
        ContextOverflow,
        "maximum context length",
    ),
    "5 an error event": (joined(text("hi"), b"event: error\n", sse({"message": "died"})), TransientError, "died"),
    "5 an error event of words": (b"event: error\ndata: it died\n\n", TransientError, "it died"),
    "16 content_filter": (joined(text("hi"), chunk({}, "content_filter")), ProviderError, "filter"),
    "16 network_error": (joined(text("hi"), chunk({}, "network_error")), TransientError, "network_error"),
    "16 model_context_window_exceeded": (
        joined(text("hi"), chunk({}, "model_context_window_exceeded")),
        ContextOverflow,
        "window",
    ),
    "a chunk that is not JSON": (joined(text("hi"), b"data: {nope}\n\n", END), TransientError, "not JSON"),
    "24 a web page": (b"<!doctype html><p>Sign in</p>", ProviderError, "Sign in"),
    "24 a JSON error with 200": (b'{"error": {"message": "no such key", "code": 401}}', ProviderError, "no such key"),
}


@pytest.mark.parametrize(("body", "error", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_the_right_error_at_every_cut(body: bytes, error: type[Exception], words: str) -> None:
    for reads in cuts(body):
        with pytest.raises(error, match=words) as caught:
            answer(reads)
        assert caught.type is error


def test_ids_that_a_server_starts_again_each_turn_stay_unique() -> None:
    body = joined(piece(index=0, id="functions.ls:0", name="ls", arguments="{}"), CALLED)
    assert answer([body], taken=["functions.ls:0"]).calls[0].id == "functions.ls:0-2"
    assert answer([body], taken=["functions.ls:0", "functions.ls:0-2"]).calls[0].id == "functions.ls:0-3"


def test_a_body_of_whole_json_that_never_ends_is_refused() -> None:
    stream = ChatStream("POST http://x")
    stream.feed(b'{"choices": "')
    with pytest.raises(ProviderError, match="64 MB without a stream"):
        for _ in range(80):
            stream.feed(b"x" * (1 << 20))
