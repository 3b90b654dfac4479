"""The offline demo model: a few rules that speak chat completions over loopback; knows nothing of the client."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from nanocode.jsontext import dumps, loads

_PACE_SECONDS = 0.005
_BODY_LIMIT = 64 << 20

HELP = """\
I am the demo model: a handful of rules, no network. I can show you real tool calls. Try:

- what files are here?
- write notes.txt: hello world
- read notes.txt
- replace "world" with "nanocode" in notes.txt
- grep nanocode
- find *.txt
- run `uname -a`

Steps may be joined by "then". For a real model, set OPENCODE_API_KEY, or OPENAI_BASE_URL and OPENAI_API_KEY."""


class Step(NamedTuple):
    """One thing that the demo can do: the words that ask for it, the call, and what to say of the result."""

    words: re.Pattern[str]
    tool: str
    arguments: Callable[[dict[str, str]], dict[str, Any]]
    closing: Callable[[dict[str, str], str], str]


def _pattern(text: str) -> re.Pattern[str]:
    path = r"[`'\"]?(?P<path>[^\s`'\":]+)[`'\"]?"
    return re.compile(text.replace("PATH", path), re.IGNORECASE | re.DOTALL)


def _quoted(result: str, limit: int = 20) -> str:
    lines = result.splitlines()
    more = f"\n… and {len(lines) - limit} more lines" if len(lines) > limit else ""
    return "```\n" + "\n".join(lines[:limit]) + f"{more}\n```"


def _named(result: str) -> str:
    names = [f"`{line.strip()}`" for line in result.splitlines() if line.strip() and not line.startswith("[")]
    if not names:
        return "This directory is empty."
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"This directory contains {listed.replace(' and ', ', and ') if len(names) > 2 else listed}."


STEPS = (
    Step(
        _pattern(r"\b(what|which|list|show)\b.*\bfiles\b"),
        "bash",
        lambda found: {"command": "ls -1"},
        lambda found, result: _named(result),
    ),
    Step(
        _pattern(
            r"\b(?:replace|change)\s+[`'\"](?P<old>.+?)[`'\"]\s+(?:with|by|to|into)\s+[`'\"](?P<new>.*?)[`'\"]\s+in\s+PATH"
        ),
        "edit",
        lambda found: {"path": found["path"], "edits": [{"oldText": found["old"], "newText": found["new"]}]},
        lambda found, result: f"I changed `{found['path']}`:\n\n{_quoted(result)}",
    ),
    Step(
        _pattern(r"\b(?:write|create)\s+(?:a\s+)?(?:file\s+)?PATH\s*(?::|with|saying|containing)\s*(?P<content>.+)"),
        "write",
        lambda found: {"path": found["path"], "content": found["content"].strip("\"'`") + "\n"},
        lambda found, result: f"Done: I {result}.",
    ),
    Step(
        _pattern(r"\b(?:read|open|cat|show)\s+(?:the\s+)?(?:file\s+)?PATH"),
        "read",
        lambda found: {"path": found["path"]},
        lambda found, result: f"Here is `{found['path']}`:\n\n{_quoted(result)}",
    ),
    Step(
        _pattern(r"\b(?:grep|search)\s+(?:for\s+)?[`'\"]?(?P<pattern>[^\s`'\"]+)[`'\"]?(?:\s+in\s+PATH)?"),
        "grep",
        lambda found: {name: value for name, value in found.items() if value},
        lambda found, result: f"For `{found['pattern']}` I found:\n\n{_quoted(result)}",
    ),
    Step(
        _pattern(r"\bfind\s+(?:files?\s+)?(?:named\s+)?[`'\"]?(?P<pattern>[^\s`'\"]+)"),
        "find",
        lambda found: {"pattern": found["pattern"]},
        lambda found, result: f"Files named `{found['pattern']}`:\n\n{_quoted(result)}",
    ),
    Step(
        _pattern(r"\brun\s+(?:`(?P<ticked>[^`]+)`|(?P<plain>.+))"),
        "bash",
        lambda found: {"command": found["ticked"] or found["plain"]},
        lambda found, result: f"It printed:\n\n{_quoted(result)}",
    ),
)


def reply(messages: list[dict[str, Any]], tools: list[str]) -> Iterator[dict[str, Any]]:
    """The `delta` objects of the demo's answer to a conversation in chat-completions form.

    The text of the last user message is cut at "then" into steps; each answer takes the next one.
    """
    asked = max((i for i, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    text = str(messages[asked].get("content")) if asked >= 0 else ""
    results = [str(each.get("content")) for each in messages[asked + 1 :] if each.get("role") == "tool"]
    parts = re.split(r"(?:,\s*|\s+)then\s+|\n", text)
    steps = [each for part in parts if (each := _step(part, tools))]
    if not steps:
        yield from _pieces("content", HELP)
    elif len(results) < len(steps):
        step, found = steps[len(results)]
        yield from _pieces("reasoning_content", f"The user wants this done; `{step.tool}` does it.")
        yield from _call(step.tool, dumps(step.arguments(found)).decode(), f"call_demo_{asked}_{len(results)}")
    else:
        said = [step.closing(found, result) for (step, found), result in zip(steps, results, strict=False)]
        yield from _pieces("content", "\n\n".join(said))


def _step(text: str, tools: list[str]) -> tuple[Step, dict[str, str]] | None:
    for step in STEPS:
        if step.tool in tools and (match := step.words.search(text)):
            return step, {name: value or "" for name, value in match.groupdict().items()}
    return None


def _pieces(field: str, text: str) -> Iterator[dict[str, Any]]:
    for word in re.findall(r"\s*\S+", text):
        yield {field: word}


def _call(name: str, arguments: str, id: str) -> Iterator[dict[str, Any]]:
    yield {"tool_calls": [{"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}
    for start in range(0, len(arguments), 12):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[start : start + 12]}}]}


class DemoServer:
    """The demo model on a free port of 127.0.0.1; `url` is its base. Start it with `start`, end it with `close`."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    @classmethod
    async def start(cls) -> "DemoServer":
        return cls(await asyncio.start_server(_serve, "127.0.0.1", 0))

    async def close(self) -> None:
        self._server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"^content-length:\s*(\d+)", head, re.IGNORECASE | re.MULTILINE)
            body = await reader.readexactly(min(int(length[1]), _BODY_LIMIT)) if length else b""
            if head.startswith("POST"):
                await _stream(writer, loads(body))
            else:
                _send(writer, dumps({"object": "list", "data": [{"id": "demo", "object": "model"}]}))
            await writer.drain()
    writer.close()


def _send(writer: asyncio.StreamWriter, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def _stream(writer: asyncio.StreamWriter, request: dict[str, Any]) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    names = [each["function"]["name"] for each in request.get("tools", ())]
    finish = "stop"
    for delta in reply(request["messages"], names):
        finish = "tool_calls" if "tool_calls" in delta else "stop"
        _event(writer, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        await writer.drain()
        await asyncio.sleep(_PACE_SECONDS)
    _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    used = len(dumps(request)) // 4
    _event(
        writer, {"choices": [], "usage": {"prompt_tokens": used, "completion_tokens": 20, "total_tokens": used + 20}}
    )
    _chunk(writer, b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")


def _event(writer: asyncio.StreamWriter, chunk: dict[str, Any]) -> None:
    _chunk(writer, b"data: " + dumps({"object": "chat.completion.chunk", "model": "demo", **chunk}) + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
