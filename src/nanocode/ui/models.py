"""The command that shows and switches the model; knows nothing of requests."""

import asyncio
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from nanocode.errors import NanocodeError
from nanocode.session import Session
from nanocode.ui.desk import Desk, Option

# What each session's server listed, or will, when it was last asked: for completion.
_listed: "WeakKeyDictionary[Session, asyncio.Future[list[Option]]]" = WeakKeyDictionary()


async def model(desk: Desk, argument: str) -> str:
    session = desk.session
    try:
        listed = await session.client.models()
    except NanocodeError as error:
        if argument:
            session.switch(argument)
            return f"model is now `{session.agent.model.id}`; it could not be checked: {error}"
        return f"model: `{session.agent.model.id}`; {error}"
    _listed[session] = asyncio.get_running_loop().create_future()
    _listed[session].set_result(_options(listed))
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


def options(session: Session) -> "asyncio.Future[list[Option]]":
    """The ids that the server lists, asked once; none where it does not say."""
    if session not in _listed:
        _listed[session] = asyncio.create_task(_ask(session))
    return _listed[session]


async def _ask(session: Session) -> list[Option]:
    try:
        return _options(await session.client.models())
    except NanocodeError:
        return []


def _options(ids: Sequence[str]) -> list[Option]:
    return [(id, "") for id in ids]
