"""Images for the model: which bytes are one, which paths in a prompt name one, and how large it may be."""

import base64
import re
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from nanocode.errors import PictureError
from nanocode.messages import Image
from nanocode.settings import located

PIXELS = 2000
ENCODED_LIMIT = int(4.5 * (1 << 20))
_FILE_LIMIT = 64 << 20
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_PATH = re.compile(r"""(?:^|(?<=[\s(\[`]))(@?)(?:"([^"\n]+)"|'([^'\n]+)'|(?:\\.|[^\s"\\])+)""")
_PNG_END = b"IEND\xaeB`\x82"
# What a sentence puts around a name.
_BEFORE, _BEHIND = "([{`'", ".,;:!?)]}`'"
_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


class Fitted(NamedTuple):
    """An image as it is sent, and what was done to it ("" for nothing)."""

    image: Image
    note: str


def mime(start: bytes) -> str:
    """The type of an image by its first bytes, "" for anything else."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC.items() if start.startswith(magic)), "")


def load(path: Path) -> Fitted:
    """The image in a file, made smaller where it must be. Raises PictureError with the way out, or OSError."""
    if path.stat().st_size > _FILE_LIMIT:
        raise PictureError(f"it is larger than {_FILE_LIMIT >> 20}MB; make it smaller first")
    return fit(path.read_bytes())


def fit(data: bytes) -> Fitted:
    """`data` as it is when it is small enough, else scaled down by Pillow. Raises PictureError where it cannot be."""
    kind, dimensions = mime(data[:16]), size(data)
    if (dimensions and 0 in dimensions) or (kind == "image/png" and _PNG_END not in data):
        # A server refuses it, and with it every later request of the conversation.
        raise PictureError("it cannot be read as an image: it is not whole")
    if dimensions and max(dimensions) <= PIXELS and _encoded(data) <= ENCODED_LIMIT:
        return Fitted(Image(kind, base64.b64encode(data).decode()), "")
    try:
        import PIL.Image as pillow
        import PIL.ImageOps as operations
    except ImportError:
        raise PictureError(
            f"it is over {PIXELS} pixels a side or 4.5MB; `pip install 'nanocode[images]'` lets me scale it down"
        ) from None
    # Pillow refuses what is twice as large; its warning would stand in the middle of the screen.
    warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
    try:
        with pillow.open(BytesIO(data)) as opened:
            picture = operations.exif_transpose(opened)
            before = picture.size
            picture.thumbnail((PIXELS, PIXELS))
            small, kind = _small(picture, "PNG" if kind in ("image/png", "image/gif") else "JPEG")
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise PictureError(f"it cannot be read as an image: {error}") from None
    note = f"scaled from {before[0]}x{before[1]} to {picture.width}x{picture.height}"
    return Fitted(Image(kind, base64.b64encode(small).decode()), note)


def _small(picture: Any, first: str) -> tuple[bytes, str]:
    """The encoded picture, as JPEG of falling quality and size where it would be too large; and its type."""
    for format, quality in ((first, 90), ("JPEG", 85), ("JPEG", 60)):
        data = _written(picture, format, quality)
        if _encoded(data) <= ENCODED_LIMIT:
            return data, f"image/{format.lower()}"
    picture.thumbnail((picture.width // 2, picture.height // 2))
    return _small(picture, "JPEG")


def _written(picture: Any, format: str, quality: int) -> bytes:
    out = BytesIO()
    fits = picture.mode in (("RGB", "L") if format == "JPEG" else ("RGB", "RGBA", "L", "P"))
    (picture if fits else picture.convert("RGB" if format == "JPEG" else "RGBA")).save(out, format, quality=quality)
    return out.getvalue()


def _encoded(data: bytes) -> int:
    return (len(data) + 2) // 3 * 4


def size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, JPEG or WebP, None where its head does not say."""
    kind = mime(data[:16])
    if kind == "image/png" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if kind == "image/gif" and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if kind == "image/webp":
        return _webp(data)
    return _jpeg(data) if kind == "image/jpeg" else None


def _webp(data: bytes) -> tuple[int, int] | None:
    if data[12:16] == b"VP8 " and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    if data[12:16] == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[12:16] == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        # SOF0 to SOF15 hold the size; C4, C8 and CC in between are something else.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
    return None


def attached(text: str, cwd: Path, home: Path, warn: Callable[[str], None], blind: str) -> Iterator[Image]:
    """The images that a prompt names; `warn` hears of each that is not sent. `blind` is a model that takes none."""
    for written, path in named(text, cwd, home):
        if blind:
            warn(f"{written} is not sent: `{blind}` does not take images")
            continue
        try:
            yield load(path).image
        except (PictureError, OSError) as error:
            warn(f"{written} is not sent: {error}")


def named(text: str, cwd: Path, home: Path) -> Iterator[tuple[str, Path]]:
    """The images that a prompt names, each once: `@shot.png`, and pasted paths with a `/`, quoted or escaped."""
    seen = set()
    for written in (name for match in _PATH.finditer(text) for name in _meant(match)):
        path = _path(written, cwd, home)
        if path and path not in seen and _is_image(path):
            seen.add(path)
            yield written, path


def _meant(match: re.Match[str]) -> Iterator[str]:
    """Each name that a match may mean: as it stands, and out of its sentence."""
    if quoted := match[2] or match[3]:
        yield match[1] + quoted
        return
    bare = re.sub(r"\\(.)", r"\1", match[0])
    yield bare
    yield bare.lstrip(_BEFORE).rstrip(_BEHIND)


def _path(written: str, cwd: Path, home: Path) -> Path | None:
    name = written.removeprefix("@")
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://"))
    if not name.lower().endswith(_SUFFIXES) or not (written[0] == "@" or "/" in name):
        return None
    return located(name, cwd, home)


def _is_image(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return bool(mime(file.read(16)))
    except (OSError, ValueError):
        return False
