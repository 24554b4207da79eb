"""Known crawlers and makers of link previews, by the names they give themselves.

They keep no cookies and nobody waits behind them, so they never get a place. Who only pretends to be one gains nothing
by it. Browsers inside apps (FBAN, Instagram, WhatsApp's own, Pinterest, Line) name the app too, and are people.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .visitor import Header

_LOOKED_AT_BYTES: Final = 512
RETRY_SECONDS: Final = 300
"""When a crawler that was sent away should come again."""

SEARCH: Final = (
    "adidxbot", "adsbot-google", "applebot", "baiduspider", "bingbot", "bingpreview", "coccocbot", "duckduckbot",
    "google-inspectiontool", "google-read-aloud", "googlebot", "googleother", "mediapartners-google", "mojeekbot",
    "naverbot", "petalbot", "qwantify", "qwantbot", "seznambot", "slurp", "sogou web spider", "storebot-google",
    "yandexbot", "yandeximages", "yandexmobilebot", "yeti/",
)  # fmt: skip
PREVIEWS: Final = (
    "bluesky cardyb", "discordbot", "embedly", "facebookcatalog", "facebookexternalhit", "google-pagerenderer",
    "iframely", "linkedinbot", "mastodon/", "meta-externalagent", "meta-externalfetcher", "pinterestbot", "redditbot",
    "signal-link-preview", "skypeuripreview", "slack-imgproxy", "slackbot", "snap url preview", "telegrambot",
    "twitterbot", "viberbot", "vkshare",
)  # fmt: skip
OTHERS: Final = (
    "ahrefsbot", "amazonbot", "archive.org_bot", "bytespider", "ccbot", "chatgpt-user", "claude-searchbot",
    "claude-user", "claudebot", "dataforseobot", "dotbot", "gptbot", "ia_archiver", "mj12bot", "oai-searchbot",
    "perplexitybot", "perplexity-user", "semrushbot",
)  # fmt: skip
_NAMES: Final = re.compile("|".join(map(re.escape, (*SEARCH, *PREVIEWS, *OTHERS))))
_BEGINNINGS: Final = ("whatsapp/",)
"""Names that a preview begins with, while browsers hold them too."""


def is_crawler(headers: Sequence[Header]) -> bool:
    """Whether the User-Agent of a request's `headers` names a known crawler."""
    return any(name == b"user-agent" and _names_one(value[:_LOOKED_AT_BYTES]) for name, value in headers)


@lru_cache(1_024)
def _names_one(user_agent: bytes) -> bool:
    text = user_agent.decode("latin-1").lower()
    return text.startswith(_BEGINNINGS) or _NAMES.search(text) is not None
