"""`/skills`, `/init`, and a command for each skill and prompt; knows nothing of how they are found."""

from collections.abc import Awaitable, Callable

from nanocode.ui.desk import Desk

INIT = """\
Write `AGENTS.md` in the working folder: what an agent that is new here must know to work well. Look first at the \
README, the build files, CI, the layout of the code and its tests. If the file exists, correct and complete it.

Say, in at most 60 lines: what the project is, in a sentence; the commands to build, test, lint and run, a single \
test included, each checked against the files; how the code is laid out; conventions that a newcomer would break. \
Leave out what anyone can see in the tree, general advice, and anything you did not find evidence for."""


async def skills(desk: Desk, argument: str) -> str:
    found = desk.session.around.skills.values()
    lines = []
    for skill in found:
        how = " (only by this command)" if skill.manual else ""
        lines.append(f"/skill:{skill.name}{how}: {skill.description}\n  {skill.path}")
    where = "`.nanocode/skills/NAME/SKILL.md` or `.agents/skills/NAME/SKILL.md`, here or in your home folder"
    return "\n".join(lines) or f"there are no skills; put one in {where}"


async def init(desk: Desk, argument: str) -> str:
    desk.send("\n\n".join(filter(None, (INIT, argument))))
    return ""


def prompt(name: str) -> Callable[[Desk, str], Awaitable[str]]:
    """What runs `/skill:name` or a prompt template: the session fills it in when it is sent."""

    async def run(desk: Desk, argument: str) -> str:
        desk.send(f"{name} {argument}".rstrip())
        return ""

    return run
