"""Takes keys out of what is written down: known values anywhere, and what has the shape of a token; knows no files."""

import re
from collections.abc import Iterable, Mapping

from nanocode.jsontext import dumps
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
        # A value stands in a line as JSON text, and once more escaped inside the arguments of a call.
        self._lines = [form for value in known for form in _escaped(value)]

    def line(self, line: bytes) -> bytes:
        """A JSON line without the known values; it stays valid JSON."""
        for form in self._lines:
            if form in line:
                line = line.replace(form, REDACTED.encode())
        return line

    def text(self, text: str) -> str:
        """Text without the known values and without what looks like a token."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        return _SHAPES.sub(REDACTED, text)


def _escaped(value: str) -> list[bytes]:
    once = dumps(value)[1:-1]
    twice = dumps(once.decode())[1:-1]
    return [once] if once == twice else [twice, once]


def known(environ: Mapping[str, str]) -> list[str]:
    """The secrets of an environment: nanocode's own variables, and those whose name says that they hold one."""
    return [value.strip() for name, value in environ.items() if name in SECRET_VARIABLES or _NAME.search(name)]
