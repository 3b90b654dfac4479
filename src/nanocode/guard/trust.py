"""Which of a project's own files may start programs or set rules: yes once per content; knows nothing of what they say.

A repository brings its `.nanocode/mcp.json` along, so opening a folder would run what a stranger wrote.
"""

from hashlib import sha256
from pathlib import Path

from nanocode import private
from nanocode.jsontext import dumps, loads

# A file that goes back and forth between branches is asked about once for each of its contents.
_REMEMBERED = 20


class Trust:
    """The accepted files, kept in `trust.json` as hashes by path. `everything` accepts all for this run (`--trust`).

    `waiting` holds the refused ones, by path, with the content that was refused.
    """

    def __init__(self, record: Path, *, everything: bool = False) -> None:
        self.waiting: dict[Path, bytes] = {}
        self._record, self._everything = record, everything

    def allows(self, path: Path, content: bytes) -> bool:
        """Whether exactly this content was accepted at this place; if not, it joins `waiting`."""
        real = path.resolve()
        if self._everything or sha256(content).hexdigest() in self._accepted().get(str(real), []):
            self.waiting.pop(real, None)
            return True
        self.waiting[real] = content
        return False

    def accept(self, path: Path, content: bytes) -> None:
        """Remember the content as the user's own wish. Raises OSError when it cannot be written."""
        real = path.resolve()
        accepted = self._accepted()
        known = [each for each in accepted.get(str(real), []) if each != sha256(content).hexdigest()]
        accepted[str(real)] = [*known, sha256(content).hexdigest()][-_REMEMBERED:]
        private.write(self._record, dumps(accepted) + b"\n")
        self.waiting.pop(real, None)

    def _accepted(self) -> dict[str, list[str]]:
        try:
            saved = loads(self._record.read_bytes())
        except (OSError, ValueError):
            return {}
        entries = saved.items() if isinstance(saved, dict) else ()
        return {str(path): [str(each) for each in hashes] for path, hashes in entries if isinstance(hashes, list)}
