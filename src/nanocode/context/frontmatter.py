"""The head of a Markdown file between two lines of `---`: YAML if it is YAML, else line by line; knows no meaning."""

import re
from typing import Any

_HEAD = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|\Z)(.*)\Z", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"([A-Za-z][\w-]*)[ \t]*:(?:[ \t]+(.*))?$")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def split(text: str) -> tuple[dict[str, Any], str]:
    """The fields of the head and the text below it; no fields when there is no head."""
    match = _HEAD.match(text)
    if match is None:
        return {}, text
    return _fields(match[1]), match[2]


def _fields(head: str) -> dict[str, Any]:
    # Only those who keep skills or prompts pay for the import.
    import yaml

    try:
        fields = yaml.load(head, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return by_lines(head)
    return {str(name): value for name, value in fields.items()} if isinstance(fields, dict) else by_lines(head)


def plain(value: Any) -> str:
    """A field as words, "" for one that is a list or a mapping: by aliases it may hold itself, or more than memory."""
    return "" if value is None or isinstance(value, (list, dict, set, tuple)) else str(value).strip()


def by_lines(head: str) -> dict[str, Any]:
    """Read `name: value` lines as people write them: a value may hold colons, and indented lines go on with it."""
    fields: dict[str, Any] = {}
    name = ""
    for line in head.splitlines():
        if match := _LINE.match(line):
            name = match[1]
            fields[name] = _value(match[2] or "")
        elif line[:1] in (" ", "\t") and isinstance(fields.get(name), str):
            fields[name] = f"{fields[name]} {line.strip()}".strip()
    return fields


def _value(text: str) -> Any:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text in (">", "|", ">-", "|-"):
        return ""
    return _WORDS.get(text.lower(), text)
