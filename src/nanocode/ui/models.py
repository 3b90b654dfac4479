"""The command that shows and switches the model; knows nothing of requests."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakKeyDictionary

from nanocode.errors import NanocodeError
from nanocode.session import Session
from nanocode.ui.desk import Desk, Option

# What each session's server listed when it was last asked, for completion; a task while it is being asked.
_listed: "WeakKeyDictionary[Session, list[str] | asyncio.Task[None]]" = WeakKeyDictionary()


async def model(desk: Desk, argument: str) -> str:
    session = desk.session
    try:
        listed = await session.client.models()
    except NanocodeError as error:
        if argument:
            session.switch(argument)
            return f"model is now `{session.agent.model.id}`; it could not be checked: {error}"
        return f"model: `{session.agent.model.id}`; {error}"
    _listed[session] = listed
    if not argument:
        return "\n".join([f"model: `{session.agent.model.id}`; the server lists:", *listed])
    return _chosen(session, argument.removeprefix("opencode-go/"), listed)


def _chosen(session: Session, wanted: str, listed: list[str]) -> str:
    exact = [id for id in listed if id == wanted] or [id for id in listed if id.lower() == wanted.lower()]
    similar = [id for id in listed if wanted.lower() in id.lower()]
    if not exact and len(similar) > 1:
        return "\n".join([f"several models match `{wanted}`:", *similar])
    found = (exact or similar or [wanted])[0]
    session.switch(found)
    return f"model is now `{found}`" + ("" if exact or similar else "; the server does not list it")


def options(session: Session) -> Iterable[Option]:
    """The ids that the server listed; the first call asks it, and gives none yet."""
    known = _listed.get(session)
    if known is None:
        _listed[session] = asyncio.create_task(_ask(session))
    return [(id, "") for id in known] if isinstance(known, list) else []


async def _ask(session: Session) -> None:
    _listed[session] = []
    with suppress(NanocodeError):
        _listed[session] = await session.client.models()
