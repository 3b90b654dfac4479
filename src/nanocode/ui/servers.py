"""`/mcp` and `/trust`, and the questions of MCP servers; knows nothing of how servers are reached."""

import json
from collections.abc import Iterable
from typing import Any

from nanocode.errors import UsageError
from nanocode.jsontext import loads
from nanocode.session import Session
from nanocode.ui.desk import Desk, Option

_NONE = "no MCP server is configured; `nanocode mcp add NAME COMMAND…` adds one, or `~/.nanocode/mcp.json`"
_DECLINE, _ANSWER = "decline", "answer"


async def mcp(desk: Desk, argument: str) -> str:
    """Show, search or restart the MCP servers."""
    word, _, rest = argument.partition(" ")
    session = desk.session
    if word == "reload":
        if desk.working:
            raise UsageError("`/mcp reload` waits for the end of the turn", "interrupt it by Ctrl-C, or wait")
        await session.reload_servers()
        return session.servers.status() if session.servers else _NONE
    if word not in ("", "status", "search"):
        raise UsageError(f"`/mcp {word}` is unknown", "`/mcp status`, `/mcp search WORDS` or `/mcp reload`")
    if session.servers is None:
        return _NONE
    return await session.servers.search(rest, 30, False) if word == "search" else session.servers.status()


def options(session: Session) -> Iterable[Option]:
    """What may follow `/mcp`."""
    return [
        ("status", "the servers and how they are"),
        ("search ", "find tools by words"),
        ("reload", "read the files again and restart"),
    ]


async def trust(desk: Desk, argument: str) -> str:
    """Show the project's files that would start programs or set the system prompt, and accept them."""
    session = desk.session
    waiting = dict(session.trust.waiting)
    if not waiting:
        return "nothing here waits for your trust"
    for path, content in waiting.items():
        desk.show(f"{path}\n{content.decode('utf-8', 'replace').strip()}")
    answers = [("no", "leave them"), ("yes", "accept")]
    picked = argument or await desk.choose("Let these files start programs and set the system prompt?", answers)
    if picked != "yes":
        return "nothing was accepted; `/trust yes` accepts what is shown"
    if desk.working:
        raise UsageError("`/trust` waits for the end of the turn", "interrupt it by Ctrl-C, or wait")
    for path, content in waiting.items():
        session.trust.accept(path, content)
    session.reload()
    await session.reload_servers()
    return session.servers.status() if session.servers else "accepted"


async def form(desk: Desk, message: str, schema: dict[str, Any]) -> dict[str, Any] | None:
    """The user's answer to a server's question, as the object it wants; None to decline."""
    desk.show(f"an MCP server asks: {message}")
    picked = await desk.choose("Answer it?", [(_DECLINE, "say nothing"), (_ANSWER, "fill it in, in your editor")])
    if picked != _ANSWER:
        return None
    try:
        answer = loads(await desk.edit(json.dumps(blank(schema), indent=2, ensure_ascii=False), ".json"))
    except (ValueError, UsageError) as error:
        desk.show(f"declined: {error}")
        return None
    return answer if isinstance(answer, dict) else None


def blank(schema: dict[str, Any]) -> dict[str, Any]:
    """The form with its defaults, or else the first value that each field may have."""
    empty = {"string": "", "boolean": False, "integer": 0, "number": 0, "array": []}
    fields = schema.get("properties", {})
    return {
        name: each.get("default", next(iter(each.get("enum", ())), empty.get(each.get("type"), "")))
        for name, each in fields.items()
    }
