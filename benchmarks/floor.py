"""The least that a coding agent can be: one asyncio script that streams, runs bash and asks again; the floor to measure
against. It parses no flags, survives no fault and keeps no pool.

Run `python benchmarks/floor.py PROMPT` with OPENAI_BASE_URL set to an http URL.
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

TOOL = {"type": "function", "function": {"name": "bash", "description": "", "parameters": {"type": "object"}}}


async def main() -> None:
    url = urlsplit(os.environ["OPENAI_BASE_URL"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    messages: list[dict[str, Any]] = [{"role": "user", "content": sys.argv[1]}]
    while True:
        body = json.dumps({"model": "m", "stream": True, "messages": messages, "tools": [TOOL]}).encode()
        head = f"POST {url.path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        text, calls = await answer(reader)
        sent = [{"id": id, "type": "function", "function": {"name": n, "arguments": a}} for id, n, a in calls]
        messages.append({"role": "assistant", "content": text, **({"tool_calls": sent} if sent else {})})
        if not calls:
            print(text)
            return
        for id, name, arguments in calls:
            result = await run(json.loads(arguments)) if name == "bash" else save(json.loads(arguments))
            messages.append({"role": "tool", "tool_call_id": id, "content": result})


async def run(arguments: dict[str, str]) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("bash", "-c", arguments["command"], stdout=pipe)
    return (await process.communicate())[0].decode()


def save(arguments: dict[str, str]) -> str:
    with open(arguments["path"], "w", encoding="utf-8") as file:
        file.write(arguments["content"])
    return "written"


async def answer(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str, str]]]:
    await reader.readuntil(b"\r\n\r\n")
    rest, text, calls = b"", [], dict[int, list[Any]]()
    while size := int(await reader.readline(), 16):
        rest += await reader.readexactly(size)
        await reader.readexactly(2)
        *lines, rest = rest.split(b"\n")
        for line in lines:
            if not line.startswith(b"data: {"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                delta = choice["delta"]
                text.append(delta.get("content") or "")
                for each in delta.get("tool_calls", ()):
                    call = calls.setdefault(each["index"], ["", "", []])
                    call[0] = each.get("id") or call[0]
                    call[1] = each["function"].get("name") or call[1]
                    call[2].append(each["function"].get("arguments") or "")
    await reader.readexactly(2)
    return "".join(text), [(id, name, "".join(parts)) for id, name, parts in calls.values()]


if __name__ == "__main__":
    asyncio.run(main())
