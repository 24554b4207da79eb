"""What attackers write where a visitor or an operator may write something."""

from __future__ import annotations

from itertools import product

_ELSEWHERE = (
    "evil.example",
    "evil.example/a?b=c",
    "evil.example:443",
    "a@evil.example",
    "evil。example",
    "[::1]",
    "2130706433",
)
_LEADS = (
    "//", "///", "////", "/\\", "\\/", "\\\\", "/\\/", "\\//", "/\t/", "\t//", "/\n/", "\r\n//", " //", "\x00//", "/\x00/",
    "http://", "https://", "HTTPS://", "https:", "https:/", "https:\\\\", "http:/\\/", "hTtP:////", "ftp://", "ws://",
    "//shop.example@", "//shop.example:80@", "https://shop.example@", "//shop.example%40", "//shop.example#@", "//shop.example?@",
    "//shop.example\\@", "/%2f", "/%2F%2F", "/%5c", "/%5C%5C", "/%09/", "/%0d%0a/", "%2f%2f", "%5c%5c", "/.//", "/..//", "/./\\",
    "/;//", "/?//", "/#//", "?//", "#//", ".", "@", ":80//", "\u2028//", "\u3000//", "\ufeff//", "/\u2215", "/\uff0f", "\uff0f\uff0f",
    "/\u00ad/", "/\u200b/", "/%E2%80%8B/", "/%c0%af", "/%252f", "x:", "shop.example", "/shop.example//", "//;@", "//%00",
)  # fmt: skip
_SCRIPTS = (
    "javascript:alert(1)", "JavaScript:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)", " javascript:alert(1)",
    "\x01javascript:alert(1)", "javascript://shop.example/%0aalert(1)", "javascript:%0aalert(1)", "&#106;avascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "vbscript:msgbox(1)",
    "blob:https://evil.example/1", "file:///etc/passwd", "view-source:https://evil.example", "about:blank", "jar:https://x!/",
)  # fmt: skip
_SPLITS = (
    "/\r\nSet-Cookie: waitroom-pass-sale=x", "/%0d%0aSet-Cookie:%20waitroom-pass-sale=x", "/\nLocation: //evil.example",
    "/\u560d\u560aLocation: //evil.example", "/\r\n\r\n<script>alert(1)</script>", "/a\x85b", "/a\x0b\x0cb", "/\x7f",
)  # fmt: skip

TARGETS = tuple(
    dict.fromkeys([*(lead + to for lead, to in product(_LEADS, _ELSEWHERE)), *_SCRIPTS, *_SPLITS, "", " ", "/" * 9_000])
)
"""Addresses that must not lead a visitor to another site, run a script or break a header."""

MARKUP = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea></style></noscript><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)//",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover='alert(1)",
    "<iframe srcdoc='<script>parent.alert(1)</script>'>",
    "<a href=javascript:alert(1) id=go>x</a>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/>",
    "<form action=//evil.example/><input name=token>",
    "<!--<script>alert(1)</script>-->",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "{{7*7}}{{cycler.__init__.__globals__}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${alert(1)}`${alert(1)}`",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\u2028\u2029alert(1)",
    "';alert(1)//",
    '";alert(1)//\\',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "<scr\x00ipt>alert(1)</script>",
    "\x01\x02\x03\x04\x05\x06\x07",
    '\x04" onfocus=alert(1) autofocus="',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=alert(1)&gt;">',
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "__proto__",
    "constructor",
    "\u202e<script>alert(1)</script>",
)
"""Texts that must be shown as they are written, if at all."""
