"""The slash commands as one table: name, help, what runs; knows nothing of how a line is read or shown."""

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable
from textwrap import fill
from typing import NamedTuple

from nanocode.errors import UsageError
from nanocode.messages import Assistant
from nanocode.nearest import nearest
from nanocode.session import Session
from nanocode.ui import aside, changes, jobs, knowledge, models, queue, servers, sessions, window
from nanocode.ui.desk import Desk, Option, steps_back

# Columns of `/help` and of its names; the few longer ones push their meaning on.
_COLUMNS, _NAMES = 79, 28


class Command(NamedTuple):
    """One command. `run(desk, argument)` gives the text to show, "" for none; a NanocodeError is shown with its hint.

    `while_working` marks one that may run while a turn is under way; the others wait for its end. `options` lists
    what its argument may be, for completion: called at each key, so what takes time is a future, the same each time.
    `settles` marks one on which the next turn depends: what is said after it waits for its end.
    """

    names: tuple[str, ...]
    argument: str
    meaning: str
    run: Callable[[Desk, str], Awaitable[str]]
    while_working: bool = False
    options: "Callable[[Session], Iterable[Option] | Future[list[Option]]] | None" = None
    settles: bool = False


class Family(NamedTuple):
    """Commands that a session brings, such as one for each skill; the first four fields are for `/help` and the README.

    `members` is called at each key, so it must not wait for anything.
    """

    names: tuple[str, ...]
    argument: str
    meaning: str
    members: Callable[[Session], Iterable[Command]]


async def _help(desk: Desk, argument: str) -> str:
    table: list[Command | Family] = [*COMMANDS, *FAMILIES]
    rows = [(f"{', '.join(each.names)} {each.argument}".rstrip(), each.meaning) for each in table]
    rows += desk.legend
    indent = " " * (_NAMES + 2)
    return "\n".join(
        fill(f"{name:{_NAMES}}  {meaning}", _COLUMNS, subsequent_indent=indent, break_on_hyphens=False)
        for name, meaning in rows
    )


async def _reload(desk: Desk, argument: str) -> str:
    desk.session.reload()
    await desk.session.reload_servers()
    return loaded(desk.session) or "nothing was found to load"


async def _clear(desk: Desk, argument: str) -> str:
    desk.session.clear()
    return "a new session begins; `/resume` finds the old one"


async def _last(desk: Desk, argument: str) -> str:
    return "" if desk.unfold(steps_back("/last", argument, "calls")) else "there is no such result"


async def _copy(desk: Desk, argument: str) -> str:
    answers = (each for each in reversed(desk.session.agent.history.messages) if isinstance(each, Assistant))
    text = next((each.text for each in answers if each.text), "")
    if not text:
        return "there is no answer to copy yet"
    desk.copy(text)
    return f"copied {len(text)} characters"


async def _tools(desk: Desk, argument: str) -> str:
    return "\n".join(f"{each.name}: {each.description.splitlines()[0]}" for each in desk.session.toolbox.tools.values())


async def _quit(desk: Desk, argument: str) -> str:
    desk.leave()
    return ""


COMMANDS = (
    Command(("/help",), "", "list the commands and keys", _help, True),
    Command(("/c", "/clear", "/new"), "", "begin a new session", _clear),
    Command(
        ("/model", "/models"),
        "[id or part]",
        "show the model and what the server lists, or switch",
        models.model,
        True,
        models.options,
        True,
    ),
    Command(("/steer",), "message", "say something before the next model call", queue.steer, True),
    Command(
        ("/queue", "/followup"),
        "[message]",
        "say something after the current work; alone, list what waits",
        queue.queue,
        True,
    ),
    Command(
        ("/dequeue",),
        "[edit]",
        "take back what waits, or edit it as JSON in your editor",
        queue.dequeue,
        True,
        lambda _: [("edit", "as JSON in your editor")],
    ),
    Command(
        ("/btw",),
        "[--tools] question",
        "ask beside the conversation, which keeps no trace of it",
        aside.btw,
        True,
        lambda _: [("--tools ", "let it read")],
    ),
    Command(("/last",), "[n]", "the result of the last call whole, or of the one n calls back", _last, True),
    Command(("/copy",), "", "copy the last answer to the clipboard", _copy, True),
    Command(("/tools",), "", "list the tools", _tools, True),
    Command(
        ("/mcp",),
        "status, search WORDS or reload",
        "the MCP servers: how they are, their tools; read the files again and restart",
        servers.mcp,
        True,
        servers.options,
    ),
    Command(
        ("/trust",),
        "[yes]",
        "show and accept what of this project would start or rule",
        servers.trust,
        True,
    ),
    Command(("/skills",), "", "list the skills", knowledge.skills, True),
    Command(("/reload",), "", "read context files, skills, prompts and MCP files again", _reload),
    Command(("/init",), "[what matters]", "let the model write AGENTS.md for this folder", knowledge.init),
    Command(("/jobs",), "[id]", "the background jobs; `read ID` and `cancel ID`", jobs.jobs, True, jobs.options),
    Command(
        ("/resume",), "[id or words]", "another session; `name TEXT` names this one, `delete [id]`", sessions.resume
    ),
    Command(
        ("/rewind",),
        "[n]",
        "take back your last message, or n of them, and what followed; files stay",
        sessions.rewind,
        options=sessions.spoken,
    ),
    Command(("/fork",), "", "go on in a new session with the conversation so far", sessions.fork),
    Command(("/context",), "", "what the model's window holds, and when it is compacted", window.context, True),
    Command(("/compact",), "[instructions]", "sum the conversation up now, to make room", window.compact),
    Command(("/cost",), "", "tokens and dollars of the last turn and of the session", sessions.cost, True),
    Command(("/export",), "[file]", "the session as Markdown, or as HTML by the name", sessions.write_export, True),
    Command(("/undo",), "", "take back what write and edit did in the last turn", changes.undo),
    Command(("/redo",), "", "bring back what `/undo` took", changes.redo),
    Command(("/diff",), "[turn or all]", "what write and edit changed, in the last turn or all", changes.diff, True),
    Command(("/q", "/quit", "/exit", "exit"), "", "quit", _quit, True),
)


def _skill_commands(session: Session) -> Iterable[Command]:
    return (_prompt(f"/skill:{each.name}", each.description) for each in session.around.skills.values())


def _templates(session: Session) -> Iterable[Command]:
    return (_prompt(f"/{each.name}", each.description) for each in session.around.templates.values())


def _prompt(name: str, meaning: str) -> Command:
    return Command((name,), "[text]", meaning, knowledge.prompt(name), True)


FAMILIES = (
    Family(("/skill:NAME",), "[text]", "run a skill, with what you add", _skill_commands),
    Family(("/NAME",), "[text]", "your prompt `.nanocode/prompts/NAME.md`; `$ARGUMENTS`, `$1`", _templates),
)


def loaded(session: Session) -> str:
    """What was found around the session's folder, and which of the user's prompts cannot be called."""
    commands = {name for each in COMMANDS for name in each.names}
    hidden = [each for each in session.around.templates.values() if f"/{each.name}" in commands]
    warnings = [f"prompt `{each.path}` is hidden by the command `/{each.name}`; rename it" for each in hidden]
    return "\n".join(filter(None, (session.around.listed(session.settings.cwd), *warnings)))


def available(session: Session) -> Iterable[Command]:
    """Every command that works in this session; a fixed one wins over one of a family with its name."""
    yield from COMMANDS
    for family in FAMILIES:
        yield from family.members(session)


def find(session: Session, line: str) -> tuple[Command, str] | None:
    """The command of a line and its argument, None for a prompt. Raises UsageError for an unknown command."""
    name, argument = [*line.split(maxsplit=1), "", ""][:2]
    for command in available(session):
        if name in command.names and (name.startswith("/") or not argument):
            return command, argument
    if not name.startswith("/") or "/" in name[1:]:
        return None
    known = [each for command in available(session) for each in command.names]
    near = nearest(name, known, 1)
    raise UsageError(f"unknown command `{name}`", f"did you mean `{near[0]}`?" if near else "`/help` lists them")
