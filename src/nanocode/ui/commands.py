"""The slash commands as one table: name, help, what runs; knows nothing of how a line is read or shown."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from nanocode.errors import NanocodeError, UsageError
from nanocode.nearest import nearest
from nanocode.session import Session


class Command(NamedTuple):
    """One command. `run(session, argument)` gives the text to show; `QUIT` ends the REPL.

    `while_working` marks one that may run while a turn is under way; the others wait for its end.
    """

    names: tuple[str, ...]
    argument: str
    meaning: str
    run: Callable[[Session, str], Awaitable[str]]
    while_working: bool = False


QUIT = "\0quit"


async def _help(session: Session, argument: str) -> str:
    rows = [(f"{', '.join(each.names)} {each.argument}".rstrip(), each.meaning) for each in COMMANDS]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {meaning}" for name, meaning in rows)


async def _clear(session: Session, argument: str) -> str:
    session.agent.history.clear()
    return "the conversation is cleared"


async def _model(session: Session, argument: str) -> str:
    try:
        listed = await session.client.models()
    except NanocodeError as error:
        if argument:
            session.switch(argument)
            return f"model is now `{argument}`; it could not be checked: {error}"
        return f"model: `{session.agent.model.id}`; {error}"
    if not argument:
        return "\n".join([f"model: `{session.agent.model.id}`; the server lists:", *listed])
    return _chosen(session, argument, listed)


def _chosen(session: Session, wanted: str, listed: list[str]) -> str:
    exact = [id for id in listed if id == wanted] or [id for id in listed if id.lower() == wanted.lower()]
    similar = [id for id in listed if wanted.lower() in id.lower()]
    if not exact and len(similar) > 1:
        return "\n".join([f"several models match `{wanted}`:", *similar])
    found = (exact or similar or [wanted])[0]
    session.switch(found)
    return f"model is now `{found}`" + ("" if exact or similar else "; the server does not list it")


async def _tools(session: Session, argument: str) -> str:
    return "\n".join(f"{each.name}: {each.description.splitlines()[0]}" for each in session.toolbox.tools.values())


async def _quit(session: Session, argument: str) -> str:
    return QUIT


COMMANDS = (
    Command(("/help",), "", "list the commands", _help, True),
    Command(("/c", "/clear", "/new"), "", "clear the conversation", _clear),
    Command(("/model", "/models"), "[id or part]", "show the model and what the server lists, or switch", _model, True),
    Command(("/tools",), "", "list the tools", _tools, True),
    Command(("/q", "/quit", "/exit", "exit"), "", "quit", _quit),
)


def find(line: str) -> tuple[Command, str] | None:
    """The command of a line and its argument, None for a prompt. Raises UsageError for an unknown command."""
    name, _, argument = line.strip().partition(" ")
    for command in COMMANDS:
        if name in command.names and (name.startswith("/") or not argument):
            return command, argument.strip()
    if not name.startswith("/") or "/" in name[1:]:
        return None
    known = [each for command in COMMANDS for each in command.names]
    near = nearest(name, known, 1)
    raise UsageError(f"unknown command `{name}`", f"did you mean `{near[0]}`?" if near else "`/help` lists them")
