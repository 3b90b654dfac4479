"""Skills by the Agent Skills standard, and prompt templates: finds them, and turns `/name arguments` into a prompt."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from nanocode.context.files import Reader, ancestors, project
from nanocode.context.frontmatter import plain, split
from nanocode.frozen import frozen
from nanocode.settings import Settings

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NAME_LIMIT, _DESCRIPTION_LIMIT = 64, 1024
_SKILL_LIMIT = 1 << 20
_WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*'|["'])+""")
_PLACE = re.compile(r"\$(ARGUMENTS|@|[1-9])")


@frozen
class Skill:
    """One skill; `path` is its file. A `manual` one is not told to the model and runs by `/skill:name` only."""

    name: str
    description: str
    path: Path
    manual: bool


@frozen
class Template:
    """A prompt that the user keeps as a file and calls by `/name`."""

    name: str
    description: str
    text: str
    path: Path


def skills(settings: Settings, reader: Reader) -> dict[str, Skill]:
    """The skills by name, nearest folder first; the first of a name wins. `reader.warnings` gets what is wrong."""
    found: dict[str, Skill] = {}
    for path, in_folder in _skill_files(settings):
        skill = _skill(path, in_folder, reader)
        if skill is None:
            continue
        if skill.name in found:
            reader.warnings.append(f"skill `{skill.name}` of `{path}` is hidden by `{found[skill.name].path}`")
        found.setdefault(skill.name, skill)
    return found


def _skill_files(settings: Settings) -> Iterator[tuple[Path, bool]]:
    """Each candidate, and whether it has a folder of its own, whose name is then the skill's."""
    for folder in _project_or_all(settings.cwd):
        yield from _folder(folder / ".nanocode" / "skills", loose=True)
        if settings.root_context:
            yield from _folder(folder / ".agents" / "skills", loose=False)
    yield from _folder(settings.directory / "skills", loose=True)
    yield from _folder(settings.home / ".agents" / "skills", loose=False)


def _project_or_all(cwd: Path) -> tuple[Path, ...]:
    near = project(cwd)
    return near if (near[-1] / ".git").exists() else ancestors(cwd)


def _folder(folder: Path, *, loose: bool) -> Iterator[tuple[Path, bool]]:
    for entry in _sorted(folder):
        # pathlib's own fail where a folder may not be entered.
        if os.path.isdir(entry):
            if os.path.isfile(entry / "SKILL.md"):
                yield entry / "SKILL.md", True
        elif loose and entry.suffix == ".md":
            yield entry, False


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _skill(path: Path, in_folder: bool, reader: Reader) -> Skill | None:
    read = reader.read(path, _SKILL_LIMIT)
    fields, _ = split(read.text) if read else ({}, "")
    if read is None or not (fields or in_folder):
        return None
    expected = path.parent.name if in_folder else path.stem
    name, description = plain(fields.get("name")) or expected, fields.get("description")
    if not isinstance(description, str) or not description.strip():
        reader.warnings.append(f"skill `{path}` is left out: its frontmatter has no `description`")
        return None
    if wrong := _wrong(name, expected, description):
        reader.warnings.append(f"skill `{path}`: {wrong}")
    manual = fields.get("disable-model-invocation") is True
    return Skill(name, " ".join(description.split())[:_DESCRIPTION_LIMIT], path, manual)


def _wrong(name: str, expected: str, description: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _NAME_LIMIT:
        return f"its name `{name}` should be lower-case words joined by `-`, at most {_NAME_LIMIT} characters"
    if name != expected:
        return f"its name `{name}` should be that of its folder, `{expected}`"
    if len(description) > _DESCRIPTION_LIMIT:
        return f"its description is longer than {_DESCRIPTION_LIMIT} characters"
    return ""


def load(skill: Skill, arguments: str) -> str:
    """The prompt that runs a skill: its whole text, where its files are, and what the user adds.

    Raises OSError when its file is gone.
    """
    _, body = split(skill.path.read_text("utf-8", "replace"))
    about = f'<skill name="{skill.name}" location="{skill.path}">\nPaths in it are relative to {skill.path.parent}.'
    return "\n\n".join(filter(None, (about, body.strip() + "\n</skill>", arguments)))


def templates(settings: Settings, reader: Reader) -> dict[str, Template]:
    """The prompt templates by name: the project's nearest first, then the user's; the first of a name wins."""
    found: dict[str, Template] = {}
    folders = [folder / ".nanocode" / "prompts" for folder in _project_or_all(settings.cwd)]
    for folder in [*folders, settings.directory / "prompts"]:
        for path in _sorted(folder):
            read = reader.read(path) if path.suffix == ".md" and path.stem not in found else None
            if read is not None:
                fields, text = split(read.text)
                described = plain(fields.get("description")) or text.strip().partition("\n")[0][:80]
                found[path.stem] = Template(path.stem, described, text.strip(), path)
    return found


def fill(template: Template, arguments: str) -> str:
    """The template with `$1` to `$9`, `$@` and `$ARGUMENTS` filled in; arguments without a place follow at the end."""
    words = [_unquoted(word) for word in _WORD.findall(arguments)]

    def value(match: re.Match[str]) -> str:
        if not match[1].isdigit():
            return arguments
        return words[int(match[1]) - 1] if int(match[1]) <= len(words) else ""

    text, places = _PLACE.subn(value, template.text)
    return text if places or not arguments else f"{text}\n\n{arguments}"


def _unquoted(word: str) -> str:
    return re.sub(r'"([^"]*)"|\'([^\']*)\'', lambda match: match[1] or match[2] or "", word)


def listed(found: Mapping[str, Skill]) -> str:
    """What the model is told of the skills: a line each, and to read one when it fits."""
    lines = [f"- {each.name}: {each.description} ({each.path})" for each in found.values() if not each.manual]
    return "\n".join([_USE, *lines]) if lines else ""


_USE = """\
Skills are instructions for certain kinds of task. When a task fits a description below, read the skill's file first
and follow it; paths in it are relative to its folder."""
