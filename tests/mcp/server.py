"""An MCP server on stdio in plain Python, whose faults the test chooses; knows no SDK and starts at once.

The argument names the fault: fine, silent, dead, junk, stubborn, endless.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

FAULT = sys.argv[1] if len(sys.argv) > 1 else "fine"
OBJECT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Say it again.\nTwice if asked.", "inputSchema": OBJECT},
    {"name": "look", "title": "A look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {"name": "fail", "description": "Fail as asked", "inputSchema": OBJECT},
    {"name": "die", "description": "End in the call", "inputSchema": {"type": "object"}},
    {"name": "sleep", "description": "Never answer", "inputSchema": {"type": "object"}},
    {"name": "work", "description": "Report progress for a while", "inputSchema": {"type": "object"}},
    {"name": "grow", "description": "Add a tool", "inputSchema": {"type": "object"}},
    {"name": "ask", "description": "Ask the user", "inputSchema": {"type": "object"}},
    {"name": "roots", "description": "What are the roots", "inputSchema": {"type": "object"}},
    {"name": "big", "description": "A large result", "inputSchema": {"type": "object"}},
    {"name": "huge", "description": "A result of many megabytes", "inputSchema": {"type": "object"}},
    {"name": "endless", "description": "A line without an end", "inputSchema": {"type": "object"}},
    {"name": "rich", "description": "All kinds of content", "inputSchema": {"type": "object"}},
    {"name": "place", "description": "Where it runs", "inputSchema": {"type": "object"}},
]
RICH = [
    {"type": "text", "text": "grüße 日本"},
    {"type": "image", "data": "aGFsbG8=", "mimeType": "image/png"},
    {"type": "audio", "data": "aGFsbG8=", "mimeType": "audio/wav"},
    {"type": "resource", "resource": {"uri": "file:///a.txt", "text": "inside"}},
    {"type": "resource", "resource": {"uri": "file:///b", "blob": "aGFsbG8=", "mimeType": "x/y"}},
    {"type": "resource_link", "uri": "file:///c.txt", "name": "c"},
]


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(id: Any, text: str, **more: Any) -> None:
    send(id=id, result={"content": [{"type": "text", "text": text}], **more})


def asked(method: str, params: dict[str, Any]) -> Any:
    send(id=900, method=method, params=params)
    while (message := json.loads(sys.stdin.readline())).get("id") != 900 or "method" in message:
        pass
    return message.get("result", message.get("error"))


def call(id: Any, name: str, given: dict[str, Any], token: Any) -> None:
    if name == "echo":
        answer(id, given["text"])
    elif name == "look":
        answer(id, '{"seen": 1}', structuredContent={"seen": 1})
    elif name == "fail":
        answer(id, f"it went wrong: {given['text']}", isError=True)
    elif name == "die":
        sys.stderr.write("a last sigh\n")
        sys.stderr.flush()
        os._exit(3)
    elif name == "work":
        for step in range(4):
            time.sleep(0.2)
            send(method="notifications/progress", params={"progressToken": token, "progress": step + 1, "total": 4})
        answer(id, "worked")
    elif name == "grow":
        TOOLS.append({"name": "grown", "inputSchema": {"type": "object"}})
        send(method="notifications/tools/list_changed")
        answer(id, "grown")
    elif name == "ask":
        form = {"type": "object", "properties": {"name": {"type": "string"}}}
        answer(id, json.dumps(asked("elicitation/create", {"message": "who?", "requestedSchema": form})))
    elif name == "roots":
        answer(id, json.dumps(asked("roots/list", {})))
    elif name == "big":
        answer(id, "start " + "x" * 200_000 + " end")
    elif name == "huge":
        answer(id, "x" * (12 << 20))
    elif name == "endless":
        endless()
    elif name == "rich":
        send(id=id, result={"content": RICH, "structuredContent": {"other": True}})
    elif name == "place":
        answer(id, json.dumps({"cwd": os.getcwd(), "env": dict(os.environ), "pid": os.getpid()}))
    elif name != "sleep":
        send(id=id, error={"code": -32602, "message": f"no tool {name}"})


def endless() -> None:
    while True:
        sys.stdout.write("x" * (1 << 20))


def main() -> None:
    if FAULT == "dead":
        sys.stderr.write("config file\nnot found\n")
        sys.exit(2)
    if FAULT == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, __file__, "silent"])
    if FAULT in ("silent", "stubborn"):
        sys.stderr.write("waiting for a licence\n")
        sys.stderr.flush()
        time.sleep(600)
    if FAULT == "endless":
        endless()
    if FAULT == "junk":
        sys.stdout.write("Welcome to my server!\n\x1b[1mhello\n\xff{}\n[1,\n")
    for text in sys.stdin:
        message = json.loads(text)
        id, method, params = message.get("id"), message.get("method"), message.get("params", {})
        if method == "initialize":
            ability = {"tools": {"listChanged": True}}
            about = {"name": "fake", "version": "1"}
            send(id=id, result={"protocolVersion": "2025-06-18", "capabilities": ability, "serverInfo": about})
        elif method == "tools/list":
            send(id=id, result={"tools": TOOLS})
        elif method == "tools/call":
            token = params.get("_meta", {}).get("progressToken")
            call(id, params["name"], params.get("arguments") or {}, token)
        elif id is not None and method:
            send(id=id, error={"code": -32601, "message": "unknown"})


if __name__ == "__main__":
    main()
