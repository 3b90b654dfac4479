"""OpenAI's exact tokeniser, where its model is used and its vocabulary lies on disk already; never downloads."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

_OPENAI = re.compile(r"(?:openai/)?(?:gpt-|chatgpt-|o[1-9]\b|codex)")
_OLDER = re.compile(r"(?:openai/)?gpt-(?:4(?![.o\w])|4-|3\.5)")
# The files as tiktoken keeps them, named by the hash of their URL; content that is not as published would make it
# download anew, so it is checked here first.
_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_PUBLISHED = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}


class Vocabulary(NamedTuple):
    """A counter of texts and the name of what it counts by."""

    count: Callable[[str], int]
    name: str


def encoding(model: str) -> str:
    """The encoding of an OpenAI model by its id, "" for any other."""
    if not _OPENAI.match(model):
        return ""
    return "cl100k_base" if _OLDER.match(model) else "o200k_base"


def on_disk(name: str, environ: Mapping[str, str]) -> Path | None:
    """The file of an encoding in tiktoken's cache, None when it is not there or not as published."""
    folder = environ.get("TIKTOKEN_CACHE_DIR") or environ.get("DATA_GYM_CACHE_DIR")
    path = Path(folder or Path(tempfile.gettempdir(), "data-gym-cache"))
    path /= hashlib.sha1(_URL.format(name).encode()).hexdigest()
    try:
        return path if hashlib.sha256(path.read_bytes()).hexdigest() == _PUBLISHED[name] else None
    except OSError:
        return None


def load(model: str, environ: Mapping[str, str]) -> Vocabulary | None:
    """The exact counter for a model, None where there is none. Takes a second and 100 MB: call it in a thread."""
    name = encoding(model)
    if not name or on_disk(name, environ) is None:
        return None
    # Most sessions never need it.
    import tiktoken

    try:
        found = tiktoken.get_encoding(name)
    except (OSError, ValueError):
        return None
    return Vocabulary(lambda text: len(found.encode_ordinary(text)), name)
