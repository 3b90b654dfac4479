"""The coding agents that `bench_agent.py` measures: how each is started, set to a server, and spoken to.

Peers are npm packages: `npm install @mariozechner/pi-coding-agent @openai/codex opencode-ai`, then give the folder
`node_modules`. Their programs are started without the node script around them, which would add to their time. pi and
opencode speak chat completions; codex speaks only the Responses API, so the same answer is put into that form for it.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peer import DONE, Reply, chunk, usage

# A read of a fast connection holds many events; one write per event would measure the server.
EVENTS_A_WRITE = 64


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the model; one delta for each piece."""

    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bash:
    """A call that runs a command."""

    command: str


@dataclass(frozen=True, slots=True)
class Write:
    """A call that writes a file, its arguments in deltas of `size` characters."""

    path: str
    content: str
    size: int


Answer = Text | Bash | Write
Settle = Callable[[Path, str], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Program:
    """A program under measurement. `settle` writes its settings into a home and gives the variables that it needs.

    `write` is absent where a program has no such tool.
    """

    name: str
    words: tuple[str, ...]
    settle: Settle
    bash: Callable[[str], tuple[str, dict[str, Any]]]
    write: Callable[[str, str], tuple[str, dict[str, Any]]] | None
    responses: bool = False

    def reply(self, answer: Answer, number: int) -> Reply:
        """The answer as this program's API has it; `number` tells calls apart."""
        pieces, call = self._parts(answer)
        events = responses(pieces, call, number) if self.responses else chat(pieces, call, number)
        written = list(events)
        if isinstance(answer, Write):
            return Reply(tuple(b"".join(part) for part in batches(written)))
        return Reply(tuple(written))

    def _parts(self, answer: Answer) -> tuple[tuple[str, ...], str]:
        """The pieces of text or arguments, and the tool's name where it is a call."""
        if isinstance(answer, Text):
            return answer.pieces, ""
        if isinstance(answer, Bash):
            tool, arguments = self.bash(answer.command)
            return (json.dumps(arguments),), tool
        assert self.write, self.name
        tool, arguments = self.write(answer.path, answer.content)
        text = json.dumps(arguments)
        return tuple(text[at : at + answer.size] for at in range(0, len(text), answer.size)), tool


def batches(events: list[bytes]) -> Iterator[list[bytes]]:
    yield from (events[at : at + EVENTS_A_WRITE] for at in range(0, len(events), EVENTS_A_WRITE))


def chat(pieces: tuple[str, ...], tool: str, number: int) -> Iterator[bytes]:
    yield chunk({"role": "assistant", "content": ""})
    if tool:
        start = {"index": 0, "id": f"c{number}", "type": "function", "function": {"name": tool, "arguments": ""}}
        yield chunk({"tool_calls": [start]})
        for piece in pieces:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        yield from (chunk({"content": piece}) for piece in pieces)
    yield chunk({}, "tool_calls" if tool else "stop")
    yield usage()
    yield DONE


def responses(pieces: tuple[str, ...], tool: str, number: int) -> Iterator[bytes]:
    whole, at = "".join(pieces), {"item_id": f"i{number}", "output_index": 0}
    counts = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    if tool:
        call = {"type": "function_call", "id": f"i{number}", "call_id": f"c{number}", "name": tool}
        opened, closed = {**call, "arguments": ""}, {**call, "arguments": whole}
        kind, place = "response.function_call_arguments.delta", at
    else:
        message = {"type": "message", "role": "assistant", "id": f"i{number}"}
        opened, closed = {**message, "content": []}, {**message, "content": [{"type": "output_text", "text": whole}]}
        kind, place = "response.output_text.delta", {**at, "content_index": 0}
    yield event("response.created", response={"id": f"r{number}"})
    yield event("response.output_item.added", item=opened, output_index=0)
    yield from (event(kind, delta=piece, **place) for piece in pieces)
    yield event("response.output_item.done", item=closed, output_index=0)
    yield event("response.completed", response={"id": f"r{number}", "usage": counts})


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def by_environment(home: Path, url: str) -> dict[str, str]:
    return {"OPENAI_BASE_URL": url}


def pi(home: Path, url: str) -> dict[str, str]:
    provider = {"baseUrl": url, "api": "openai-completions", "apiKey": "unused", "models": [{"id": "m"}]}
    save(home / ".pi/agent/models.json", json.dumps({"providers": {"loopback": provider}}))
    return {}


def codex(home: Path, url: str) -> dict[str, str]:
    provider = f'name = "loopback"\nbase_url = "{url}"\nwire_api = "responses"\nenv_key = "OPENAI_API_KEY"\n'
    chosen = 'model = "m"\nmodel_provider = "loopback"\n'
    save(home / ".codex/config.toml", f"{chosen}[model_providers.loopback]\n{provider}")
    return {}


def opencode(home: Path, url: str) -> dict[str, str]:
    settings = {"baseURL": url, "apiKey": "unused"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": settings, "models": {"m": {"name": "m"}}}
    chosen = {"model": "loopback/m", "small_model": "loopback/m", "autoupdate": False, "share": "disabled"}
    save(home / ".config/opencode/opencode.json", json.dumps({"provider": {"loopback": provider}, **chosen}))
    return {"OPENCODE_DISABLE_MODELS_FETCH": "1"}


def save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def bash(command: str) -> tuple[str, dict[str, Any]]:
    return "bash", {"command": command}


def write(path: str, content: str) -> tuple[str, dict[str, Any]]:
    return "write", {"path": path, "content": content}


OURS = Program("nanocode", (sys.executable, "-m", "nanocode", "--print", "--quiet"), by_environment, bash, write)
FLOOR = Program(
    "bare asyncio client", (sys.executable, str(Path(__file__).parent / "floor.py")), by_environment, bash, write
)


def peers(modules: Path) -> Iterator[Program]:
    """Those of the peers that are installed in a folder `node_modules`."""
    codex_flags = ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    pi_flags = ("--offline", "--provider", "loopback", "--model", "m", "--print")
    for path in sorted(modules.glob("@openai/codex-*/vendor/*/bin/codex"))[:1]:
        yield Program("codex", (str(path), *codex_flags), codex, command, None, responses=True)
    for path in modules.glob("@mariozechner/pi-coding-agent/dist/cli.js"):
        yield Program("pi", ("node", str(path), *pi_flags), pi, bash, write)
    for path in sorted(modules.glob("opencode-*/bin/opencode"))[:1]:
        yield Program("opencode", (str(path), "run"), opencode, described, to_whole_path)


PACKAGES = {"codex": "@openai/codex", "pi": "@mariozechner/pi-coding-agent", "opencode": "opencode-ai"}


def versions(modules: Path) -> dict[str, str]:
    placed = {name: modules / package / "package.json" for name, package in PACKAGES.items()}
    return {name: json.loads(path.read_text("utf-8"))["version"] for name, path in placed.items() if path.exists()}


def command(line: str) -> tuple[str, dict[str, Any]]:
    return "exec_command", {"cmd": line}


def described(line: str) -> tuple[str, dict[str, Any]]:
    return "bash", {"command": line, "description": "a step"}


def to_whole_path(path: str, content: str) -> tuple[str, dict[str, Any]]:
    return "write", {"filePath": path, "content": content}
