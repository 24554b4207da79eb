"""The shop's logo: a small file that becomes part of the page, so that the page asks for nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

LARGEST_LOGO_BYTES: Final = 8_192


def read_logo(name: str) -> str:
    """Return the file `name` as a `data:` URL; raises OSError, and ValueError when a page cannot show it."""
    with Path(name).open("rb") as file:
        content = file.read(LARGEST_LOGO_BYTES + 1)
    if len(content) > LARGEST_LOGO_BYTES:
        raise ValueError(f"the file {name} has more than {LARGEST_LOGO_BYTES} bytes")
    return f"data:{_media_type(name, content)};base64,{base64.b64encode(content).decode('ascii')}"


def _media_type(name: str, content: bytes) -> str:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if b"<svg" in content:
        return "image/svg+xml"
    raise ValueError(f"the file {name} is no SVG, PNG or WebP")
