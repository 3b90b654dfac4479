"""All that users keep for the agent around a working folder, found once; knows the files' places, not the model."""

from collections.abc import Callable
from dataclasses import field
from pathlib import Path

from nanocode.context import files, skills
from nanocode.context.files import Found, Reader
from nanocode.context.skills import Skill, Template
from nanocode.errors import UsageError
from nanocode.frozen import frozen
from nanocode.nearest import nearest
from nanocode.settings import Settings


@frozen
class Surroundings:
    """What was found, and `warnings`, a line each, about what was not taken."""

    system: tuple[Found, ...] = ()
    appended: tuple[Found, ...] = ()
    context: tuple[Found, ...] = ()
    skills: dict[str, Skill] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def prompts(self) -> dict[str, str]:
        """What may stand at the start of a prompt as `/name`, and its meaning."""
        own = {f"/skill:{skill.name}": skill.description for skill in self.skills.values()}
        return own | {f"/{template.name}": template.description for template in self.templates.values()}

    def expand(self, text: str) -> str:
        """The prompt that `/skill:name …` or `/template …` stands for; any other text as it is.

        Raises UsageError for a skill that does not exist or cannot be read.
        """
        name, arguments = [*text.split(maxsplit=1), "", ""][:2]
        if name.startswith("/skill:"):
            return self._skill(name.removeprefix("/skill:"), arguments.strip())
        template = self.templates.get(name[1:]) if name.startswith("/") else None
        return skills.fill(template, arguments.strip()) if template else text

    def _skill(self, name: str, arguments: str) -> str:
        if name not in self.skills:
            near = nearest(name, self.skills, 1)
            raise UsageError(
                f"there is no skill `{name}`", f"did you mean `/skill:{near[0]}`?" if near else "`/skills` lists them"
            )
        try:
            return skills.load(self.skills[name], arguments)
        except OSError as error:
            raise UsageError(f"skill `{name}` cannot be read: {error.strerror or error}", "`/reload`") from None

    def listed(self, cwd: Path) -> str:
        """What is loaded, for a person: a line for each kind; paths inside `cwd` are relative to it."""
        rows = (
            ("system prompt", [_named(each, cwd) for each in self.system]),
            ("context", [_named(each, cwd) for each in (*self.context, *self.appended)]),
            ("skills", list(self.skills)),
            ("prompts", [f"/{name}" for name in self.templates]),
        )
        return "\n".join(f"{name}: {', '.join(values)}" for name, values in rows if values)


def _named(found: Found, cwd: Path) -> str:
    return str(found.path.relative_to(cwd) if found.path.is_relative_to(cwd) else found.path)


def look(settings: Settings, allowed: Callable[[Path, bytes], bool]) -> Surroundings:
    """Read what there is around the session's folder; never walks down, never runs anything.

    `allowed` says whether a project's file, with this content, may replace the system prompt.
    """
    reader = Reader()
    system = files.system_file(settings, reader, allowed)
    appended = files.appended_files(settings, reader)
    context = files.context_files(settings, reader)
    found = skills.skills(settings, reader)
    templates = skills.templates(settings, reader)
    return Surroundings(system, appended, context, found, templates, tuple(reader.warnings))
