"""Takes keys out of what is written down: known values anywhere, and what has the shape of a token; knows no files."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nanocode.jsontext import dumps, loads
from nanocode.settings import SECRET_VARIABLES

REDACTED = "[redacted]"
# `OPENAI_API_KEY=unused` is how local servers are used, and no secret.
_SHORTEST = 12
_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:sk-[\w-]{20,}|gh[opsur]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|hf_\w{30,}"
    r"|npm_\w{30,}|pypi-[\w-]{50,}|A(?:KIA|SIA)[A-Z0-9]{16}|AIza[\w-]{35}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----"
)


class Redactor:
    """Replaces the secrets of one session by `[redacted]`."""

    def __init__(self, values: Iterable[str]) -> None:
        known = sorted({value for value in values if len(value) >= _SHORTEST}, key=len, reverse=True)
        self._values = known
        # A value stands in a string as it is, and escaped inside the arguments of a call.
        self._forms = [form for value in known for form in dict.fromkeys((_escaped(value), value))]
        self._marks = [_escaped(form).encode() for form in self._forms]

    def line(self, line: bytes) -> bytes:
        """A JSON line without the known values; it stays valid JSON, and so does JSON inside its strings."""
        if not any(mark in line for mark in self._marks):
            return line
        return dumps(self._cleaned(loads(line))) + (b"\n" if line.endswith(b"\n") else b"")

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._without(value)
        if isinstance(value, list):
            return [self._cleaned(each) for each in value]
        if isinstance(value, dict):
            return {self._without(name): self._cleaned(each) for name, each in value.items()}
        return value

    def _without(self, text: str) -> str:
        left = text
        for form in self._forms:
            left = left.replace(form, REDACTED)
        # The arguments of a call are JSON inside JSON, where a value may begin in the midst of an escape.
        if left != text and text.startswith(("{", "[")) and _is_json(text) and not _is_json(left):
            cleaned = dumps(self._cleaned(loads(text))).decode()
            # Better no JSON than a value in what is no string.
            return left if any(form in cleaned for form in self._forms) else cleaned
        return left

    def text(self, text: str) -> str:
        """Text without the known values and without what looks like a token."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        return _SHAPES.sub(REDACTED, text)


def _escaped(text: str) -> str:
    return dumps(text)[1:-1].decode()


def _is_json(text: str) -> bool:
    try:
        loads(text)
    except ValueError:
        return False
    return True


def known(environ: Mapping[str, str]) -> list[str]:
    """The secrets of an environment: nanocode's own variables, and those whose name says that they hold one."""
    return [value.strip() for name, value in environ.items() if name in SECRET_VARIABLES or _NAME.search(name)]
