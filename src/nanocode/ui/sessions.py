"""The commands on sessions in words, and the choice that `--resume` gives; knows nothing of a file's format."""

import time
from collections.abc import Callable
from contextlib import suppress

from nanocode import atomic
from nanocode.agent.compaction import is_asked
from nanocode.agent.loop import CUT_SHORT, Spent
from nanocode.context import mentions
from nanocode.errors import UsageError
from nanocode.messages import Assistant
from nanocode.provider.catalog import PRICED
from nanocode.session import Session
from nanocode.settings import Settings
from nanocode.store import shelf
from nanocode.store.transcript import title
from nanocode.tools.output import plural, size
from nanocode.ui import export
from nanocode.ui.desk import Desk, Option, number, steps_back

_LISTED = 30
_WORDS = 40


def about(entry: shelf.Entry) -> str:
    """`fix the tests · 2026-11-25 16:51 · kimi-k2.6 · 12KB`; the facts stand also behind a long title."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.time))
    words = entry.title if len(entry.title) <= _WORDS else f"{entry.title[: _WORDS - 1]}…"
    whose = f"started by session {entry.parent}" if entry.parent else ""
    return " · ".join(filter(None, (words or "(no words)", when, entry.model, size(entry.size), whose)))


async def resume(desk: Desk, argument: str) -> str:
    session = desk.session
    word, _, rest = argument.partition(" ")
    if word == "name":
        if not rest.strip():
            raise UsageError("a name is missing", "such as `/resume name the parser rewrite`")
        session.transcript.rename(rest.strip())
        return f"this session is now `{rest.strip()}`"
    if word == "delete":
        return await _delete(desk, rest.strip())
    id = argument or await _choose(desk, "sessions of this folder, the last first:")
    if not id:
        return ""
    entry = shelf.find(session.settings.directory, session.settings.cwd, id)
    if entry.id == session.id:
        return "this is that session"
    session.resume(entry)
    desk.show(f"going on with session {session.id}")
    recall(desk)
    return ""


async def _choose(desk: Desk, heading: str) -> str | None:
    entries = _others(desk.session)
    if not entries:
        raise UsageError("there is no other session of this folder", "`nanocode --resume ID` finds one of any folder")
    return await desk.choose(heading, [(entry.id, about(entry)) for entry in entries[:_LISTED]])


def _others(session: Session) -> list[shelf.Entry]:
    found = shelf.listing(session.settings.directory, session.settings.cwd)
    return [entry for entry in found if entry.id != session.id]


async def _delete(desk: Desk, id: str) -> str:
    chosen = id or await _choose(desk, "delete which session?")
    if not chosen:
        return ""
    entry = shelf.find(desk.session.settings.directory, desk.session.settings.cwd, chosen)
    if not entry.id.startswith(chosen):
        raise UsageError(f"`{chosen}` is called `{entry.id}`", "a session is deleted by its id only")
    if entry.id == desk.session.id:
        raise UsageError("this session is open", "`/clear` leaves it; then it can be deleted")
    shelf.delete(entry)
    return f"session {entry.id} is deleted: {entry.title}"


def recall(desk: Desk) -> None:
    """Show the last exchange, for a person who comes back; nothing in a new session."""
    said = ""
    for message in reversed(desk.session.agent.history.messages):
        if isinstance(message, Assistant):
            said = said or message.text.strip("\n")
        elif is_asked(message):
            desk.show(_typed(message.text), "prompt")
            break
    if said:
        desk.show(said, "answer")


async def rewind(desk: Desk, argument: str) -> str:
    text = desk.session.rewind(steps_back("/rewind", argument, "messages"))
    recall(desk)
    taken = f"taken back: {title(_typed(text))}"
    return f"{taken}\nthe files are as they are; /undo takes back what write and edit did, turn by turn"


def spoken(session: Session) -> list[Option]:
    """The messages of the user, the last first, by how far back each is."""
    asked = [_typed(each.text) for each in session.agent.history.messages if is_asked(each)]
    return [(str(back), title(text)) for back, text in enumerate(reversed(asked[-_LISTED:]), 1)]


async def fork(desk: Desk, argument: str) -> str:
    session = desk.session
    if not session.agent.history.messages:
        raise UsageError("there is nothing to branch off from yet", "say something first")
    old = session.id
    session.fork()
    words = f"this is session {session.id} now, in which /undo and /diff begin anew"
    with suppress(UsageError):
        shelf.find(session.settings.directory, session.settings.cwd, old)
        words += f"; `/resume {old}` goes back to the one that it came from"
    return words


def _typed(text: str) -> str:
    """A message as its user wrote it."""
    return mentions.typed(text.removeprefix(CUT_SHORT).lstrip("\n"))


def pick(settings: Settings, ask: Callable[[str], str], show: Callable[[str], object]) -> str:
    """The id that a person chooses from a numbered list before the session begins. Raises UsageError for none."""
    entries = shelf.listing(settings.directory, settings.cwd)[:_LISTED]
    if not entries:
        raise UsageError("there is no session of this folder", "start one: nanocode")
    show("\n".join(f"{number:3}. {about(entry)}" for number, entry in enumerate(entries, 1)) + "\n")
    try:
        picked = ask("number: ").strip()
    except EOFError:
        picked = ""
    chosen = number(picked)
    if not chosen or chosen > len(entries):
        raise UsageError(f"`{picked}` is not in the list", "`nanocode --resume` again, or --continue for the last one")
    return entries[chosen - 1].id


async def cost(desk: Desk, argument: str) -> str:
    session = desk.session
    lines = [f"last turn: {spent(session.last)}", f"session: {spent(session.spent)}"]
    known = session.agent.model.prices
    lines.append(f"prices of {PRICED}" if known else f"no price is known for `{session.agent.model.id}`")
    return "\n".join(lines)


def spent(used: Spent) -> str:
    """`3 answers, 12,034 tokens in (8,000 cached), 512 out, $0.0123`."""
    counts = f"{used.usage.input:,} tokens in ({used.usage.cached:,} cached), {used.usage.output:,} out"
    price = "" if used.cost is None else f", ${used.cost:.4f}"
    return f"{plural(used.turns, 'answer')}, {counts}{price}"


async def write_export(desk: Desk, argument: str) -> str:
    session = desk.session
    name = argument or f"nanocode-{session.id}.md"
    path = session.settings.path(name)
    if path.exists():
        raise UsageError(f"`{name}` exists", "give another name: `/export FILE.md` or `/export FILE.html`")
    saved = session.saved()
    render = export.html if path.suffix.lower() in (".html", ".htm") else export.markdown
    try:
        atomic.replace(path, render(saved, session.redactor.text).encode())
    except OSError as error:
        raise UsageError(f"`{name}` cannot be written: {error.strerror or error}") from None
    return f"exported to `{path}`"
