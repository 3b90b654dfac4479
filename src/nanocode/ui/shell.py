"""A shell line of the user's own: run as bash runs the model's, and told to the model or not; knows no keys."""

from nanocode.agent.toolbox import Toolbox
from nanocode.events import Emit
from nanocode.jsontext import dumps
from nanocode.messages import USER_DID, Call
from nanocode.session import Session
from nanocode.tools.bash import bash
from nanocode.ui.calls import OWN


async def shell(session: Session, line: str, emit: Emit) -> str:
    """Run `!command` or `!!command`; what the model is to be told of it, "" for the second form.

    The tool surface of the session does not narrow it, since it is not the model's.
    """
    told = not line.startswith("!!")
    command = line.lstrip("!").strip()
    box = Toolbox([bash], session.settings, emit)
    answer = await box.call(Call(OWN, "bash", dumps({"command": command}).decode()))
    return f"{USER_DID}ran `{command}` in the working folder. It printed:]\n{answer.text}" if told else ""
