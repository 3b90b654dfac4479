"""Images for the model: known by their bytes, measured by their heads, sent as they are or made to fit."""

import base64
import os
import struct
import sys
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.context import pictures
from nanocode.context.pictures import ENCODED_LIMIT, PIXELS, fit, load, mime, named, size
from nanocode.errors import PictureError


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A black picture, written by hand."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\0" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """The head of one, with tables before its size as cameras write them."""
    tables = b"\xff\xe0\x00\x04ab\xff\xc4\x00\x03a"
    return b"\xff\xd8" + tables + b"\xff\xc2\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01"


def webp(kind: bytes, rest: bytes) -> bytes:
    return b"RIFF\x40\0\0\0WEBP" + kind + b"\x10\0\0\0" + rest


HEADS = [
    (png(31, 7), "image/png"),
    (b"GIF89a" + struct.pack("<HH", 31, 7) + b"\0" * 3, "image/gif"),
    (b"GIF87a" + struct.pack("<HH", 31, 7) + b"\0" * 3, "image/gif"),
    (jpeg(31, 7), "image/jpeg"),
    (webp(b"VP8 ", b"\0" * 3 + b"\x9d\x01\x2a" + struct.pack("<HH", 31, 7 | 1 << 14)), "image/webp"),
    (webp(b"VP8L", b"\x2f" + struct.pack("<I", 30 | 6 << 14)), "image/webp"),
    (webp(b"VP8X", b"\0" * 4 + (30).to_bytes(3, "little") + (6).to_bytes(3, "little")), "image/webp"),
]


@pytest.mark.parametrize(("data", "kind"), HEADS, ids=lambda each: each if isinstance(each, str) else "")
def test_type_and_size_come_from_the_head(data: bytes, kind: str) -> None:
    assert (mime(data[:16]), size(data)) == (kind, (31, 7))
    assert fit(data).image.mime == kind


@given(st.sampled_from([data for data, _ in HEADS]), st.integers(0, 60), st.binary(max_size=40))
def test_a_head_that_is_cut_or_broken_is_measured_or_not_but_never_fails(data: bytes, at: int, rest: bytes) -> None:
    found = size(data[:at] + rest)
    assert found is None or len(found) == 2


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF\0\0\0\0WAVE", b"%PDF-1.7", b"<svg/>", b"BM\0\0"])
def test_what_is_no_image_for_a_model_is_none(data: bytes) -> None:
    assert mime(data) == "" and size(data) is None


def test_a_small_picture_goes_as_it_is() -> None:
    data = png(PIXELS, 3)
    image, note = fit(data)
    assert (base64.b64decode(image.data), image.mime, note) == (data, "image/png", "")


@pytest.mark.parametrize(
    "data", [png(3, 3)[:-12], png(3, 3)[:40], png(0, 3), png(3, 0)], ids=["end", "head", "0x3", "3x0"]
)
def test_a_small_picture_that_is_not_whole_is_not_sent(data: bytes) -> None:
    with pytest.raises(PictureError, match="not whole"):
        fit(data)


def test_without_pillow_a_large_one_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    heavy = png(4, 4) + b"\0" * ENCODED_LIMIT
    for data in (png(PIXELS + 1, 3), heavy):
        with pytest.raises(PictureError, match=r"pip install 'nanocode\[images\]'"):
            fit(data)


def test_a_file_beyond_all_measure_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png(3, 3))
    os.truncate(path, 1 << 40)
    with pytest.raises(PictureError, match="larger than"):
        load(path)


# What a prompt says, and which of the files it means.
PROMPTS = [
    ("what is @shot.png?", ["shot.png"]),
    ("what is @shot.png ?", ["shot.png"]),
    ("compare (@shot.png) with it", ["shot.png"]),
    ("shot.png alone is a word", []),
    ("see ./shot.png", ["shot.png"]),
    ("see ./shot.png, please", ["shot.png"]),
    ('see @"my shot.png" and @shot.png', ["my shot.png", "shot.png"]),
    (r"see ./my\ shot.png", ["my shot.png"]),
    ("see './my shot.png'", ["my shot.png"]),
    ("see file://{cwd}/my%20shot.png", ["my shot.png"]),
    ("@shot.png @./shot.png {cwd}/shot.png", ["shot.png"]),
    ("~/home.GIF", ["home.GIF"]),
    ("`./shot.png` and 'quoted' words", ["shot.png"]),
    ('(see "./my shot.png")', ["my shot.png"]),
    ("mail me@shot.png", []),
    ("what's in @shot.png, and what isn't", ["shot.png"]),
    ("@text.png @gone.png @folder.png @pipe.png @notes.md", []),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("shot.png", "my shot.png"):
        (tmp_path / name).write_bytes(png(2, 2))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "home.GIF").write_bytes(HEADS[1][0])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "notes.md").write_text("notes")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


@pytest.mark.parametrize(("text", "names"), PROMPTS)
def test_a_prompt_names_pictures(folder: Path, text: str, names: list[str]) -> None:
    found = named(text.replace("{cwd}", str(folder)), folder, folder / "home")
    assert [path.name for _, path in found] == names


@pytest.fixture
def pillow() -> Any:
    return pytest.importorskip("PIL.Image", reason="needs Pillow, the extra `images`")


def opened(pillow: Any, result: pictures.Fitted) -> Any:
    """What the model would see, whose type is what is said of it."""
    assert len(result.image.data) <= ENCODED_LIMIT
    picture = pillow.open(BytesIO(base64.b64decode(result.image.data)))
    assert f"image/{picture.format.lower()}" == result.image.mime
    assert max(picture.size) <= PIXELS
    return picture


def encoded(picture: Any, format: str, **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


MODES = [
    ("RGB", "PNG"),
    ("RGBA", "PNG"),
    ("P", "PNG"),
    ("LA", "PNG"),
    ("1", "PNG"),
    ("I;16", "PNG"),
    ("P", "GIF"),
    ("L", "JPEG"),
    ("CMYK", "JPEG"),
    ("RGB", "WEBP"),
    ("RGBA", "WEBP"),
]


@pytest.mark.parametrize(("mode", "format"), MODES)
def test_pillow_scales_every_kind_down(pillow: Any, mode: str, format: str) -> None:
    data = encoded(pillow.new(mode, (3000, 300)), format)
    assert size(data) == (3000, 300)
    result = fit(data)
    assert opened(pillow, result).size == (2000, 200)
    assert result.note == "scaled from 3000x300 to 2000x200"


def test_the_size_of_a_picture_is_no_warning_on_the_screen(pillow: Any) -> None:
    data = encoded(pillow.new("1", (10_000, 9_000)), "PNG")
    with warnings.catch_warnings(record=True) as shown:
        assert fit(data).note == "scaled from 10000x9000 to 2000x1800"
    assert not shown


def test_a_picture_on_its_side_is_turned_before_it_is_scaled(pillow: Any) -> None:
    exif = pillow.Exif()
    exif[0x0112] = 6
    result = fit(encoded(pillow.new("RGB", (3000, 300)), "JPEG", exif=exif))
    assert opened(pillow, result).size == (200, 2000)


def test_noise_that_no_scaling_makes_light_becomes_jpeg(pillow: Any) -> None:
    data = encoded(pillow.frombytes("RGB", (1600, 1600), os.urandom(1600 * 1600 * 3)), "PNG")
    assert len(data) > ENCODED_LIMIT
    assert opened(pillow, fit(data)).format == "JPEG"


def test_what_cannot_be_read_is_refused_in_words(pillow: Any) -> None:
    whole = encoded(pillow.new("RGB", (3000, 300)), "PNG")
    bomb = png(3, 3)[:16] + struct.pack(">II", 60_000, 60_000) + png(3, 3)[24:]
    for data in (whole[: len(whole) // 2], png(3000, 3)[:40], bomb):
        with pytest.raises(PictureError, match="cannot be read as an image"):
            fit(data)
