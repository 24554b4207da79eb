"""What is asked of httpbin: every endpoint, every kind of body, and targets as odd as HTTP allows."""

from __future__ import annotations

import base64
import gzip
import hashlib

from tests.journeys.compare import Case


def with_body(method: str, target: str, body: bytes, content_type: str, *fields: str) -> Case:
    """Return a request whose body tells its length."""
    return Case(method, target, (f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *fields), body)


def in_chunks(
    method: str, target: str, *chunks: bytes, end: bytes = b"0\r\n\r\n", fields: tuple[str, ...] = ()
) -> Case:
    """Return a request whose body comes in chunks."""
    body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return Case(method, target, ("Transfer-Encoding: chunked", *fields), body)


FORM = b"custname=A+B&size=medium&topping=bacon&topping=%C3%A4&empty=&%26=%3D"
JSON = '{"name": "Jürgen", "list": [1, 2.5, null, true], "nested": {"π": "\\u2603"}}'.encode()
MULTIPART = (
    b'--edge\r\nContent-Disposition: form-data; name="word"\r\n\r\nfirst\r\nsecond\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a b.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) + b"\r\n--edge--\r\n"
)
BYTES = bytes(range(256)) * 1_200  # 300 kB: more than any buffer on the way

_URI = "/digest-auth/auth/user/passwd/MD5"


def _digest(secret: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    proof = md5(":".join([md5(f"user:realm:{secret}"), "abc", "00000001", "xyz", "auth", md5(f"GET:{_URI}")]))
    return (
        f'Authorization: Digest username="user", realm="realm", nonce="abc", uri="{_URI}", qop=auth, nc=00000001, '
        f'cnonce="xyz", response="{proof}", algorithm=MD5, opaque="o"'
    )


def _basic(user: str) -> str:
    return "Authorization: Basic " + base64.b64encode(user.encode()).decode()


STATUSES = (
    200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405,
    406, 407, 408, 409, 410, 411, 412, 413, 415, 416, 417, 418, 421, 422, 425, 426, 428, 429, 431, 451, 499, 500, 501,
    502, 503, 504, 505, 507, 511, 599,
)  # fmt: skip

ODD_TARGETS = (
    "/get?a=1&a=2&b=",
    "/get?",
    "/get??a=?b/c",
    "/get?q=%C3%A4%20%2B+%26%3d%23&%E2%82%AC=euro",
    "/get?bad=%zz&half=%C3&nul=%00&%=x",
    "/get?;a=1;b=2&&&=&=x",
    "/get?[]{}|\\^`\"<>'!*()",
    "/get?q=" + "a" * 4_000,
    "/anything/a%2Fb/c%2f%2e%2E/d",
    "/anything/../get",
    "/anything/./a/../b",
    "/anything//double///slash",
    "/anything/%",
    "/anything/%C3%A4%FF;v=1,2;w",
    "/anything/~user/:colon@at!$&'()*+,=",
    "/anything/back\\slash/%5c",
    '/anything/{a}|[b]^`"<c>',
    "/anything/?show_env=1",
    "/ANYTHING/Case",
    "/anything/%2e%2e/%2e%2e/get",
    "/anything/%00nul%0d%0aset-cookie:%20a=b",
    "//anything",
    "/static/favicon.ico",
    "/flasgger_static/swagger-ui.css",
    "/no/such/page",
    "http://shop.test/get?absolute=form",
    "http://SHOP.test:80/anything",
)

CASES: tuple[Case, ...] = (
    *(Case("GET", f"/status/{status}") for status in STATUSES),
    *(Case("GET", target) for target in ODD_TARGETS),
    # Methods.
    *(Case(method, "/anything", ("Content-Length: 0",)) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    *(Case(method, "/status/404") for method in ("HEAD", "DELETE", "OPTIONS")),
    *(Case("HEAD", target) for target in (
        "/", "/html", "/json", "/xml", "/robots.txt", "/image/png", "/status/204", "/status/304", "/redirect/2",
        "/stream-bytes/500?seed=1", "/bytes/100?seed=1", "/range/200", "/basic-auth/a/b", "/static/favicon.ico",
        "/post", "/cookies/set?a=b",
    )),
    *(Case("OPTIONS", target) for target in ("/", "/get", "/post", "/anything", "/status/500", "/no/such", "*")),
    Case("OPTIONS", "/put", ("Origin: https://a.test", "Access-Control-Request-Headers: x-a, x-b")),
    Case("POST", "/get", ("Content-Length: 0",)),
    Case("DELETE", "/delete"),
    Case("PURGE", "/anything"),
    Case("PROPFIND", "/anything"),
    # Bodies.
    *(
        with_body(method, target, body, kind)
        for method, target in (("POST", "/post"), ("PUT", "/put"), ("PATCH", "/patch"), ("DELETE", "/delete"))
        for body, kind in (
            (FORM, "application/x-www-form-urlencoded"),
            (JSON, "application/json; charset=utf-8"),
            (MULTIPART, "multipart/form-data; boundary=edge"),
            (BYTES, "application/octet-stream"),
        )
    ),
    with_body("GET", "/anything", b"a body on a GET", "text/plain"),
    with_body("POST", "/anything", gzip.compress(FORM, mtime=0), "text/plain", "Content-Encoding: gzip"),
    with_body("POST", "/post", JSON, "application/json", "Expect: 100-continue"),
    with_body("POST", "/status/503", FORM, "application/x-www-form-urlencoded"),
    in_chunks("POST", "/post", b"one", b" two ", b"three", fields=("Content-Type: text/plain",)),
    in_chunks("PUT", "/put", JSON[:10], JSON[10:], fields=("Content-Type: application/json",)),
    in_chunks("POST", "/post", FORM, fields=("Content-Type: application/x-www-form-urlencoded",)),
    in_chunks("POST", "/post", MULTIPART[:99], MULTIPART[99:], fields=("Content-Type: multipart/form-data; boundary=edge",)),
    in_chunks("POST", "/anything", BYTES[:70_000], BYTES[70_000:]),
    in_chunks("PATCH", "/patch"),
    in_chunks("POST", "/post", b"x", fields=("Expect: 100-continue",)),
    # What the site is told.
    Case("GET", "/headers"),
    Case("GET", "/headers?show_env=1", ("Accept: a/b", "Accept: c/d;q=0.1", "X-Twice: 1", "x-twice: 2", "X-Empty:")),
    Case("GET", "/headers", ("Connection: keep-alive", "Keep-Alive: timeout=5", "TE: trailers", "X-End: 2")),
    Case("GET", "/headers", ("Accept-Language: de-CH, fr;q=0.8", 'If-Match: "a", "b"', "DNT: 1", "Via-X: y", "Pragma: x")),
    Case("GET", "/headers", ("X-Bytes: \xe4\xf6\xfc", 'X-Quoted: "a,b\\"c"', "X-Spaces:    many   ", "Referer: ?#")),
    Case("GET", "/headers", ("Upgrade-Insecure-Requests: 1", "Sec-Fetch-Mode: navigate", "Priority: u=0, i")),
    Case("GET", "/user-agent", ("User-Agent: Mozilla/5.0 (odd; ünï) x/1",)),
    Case("GET", "/ip"),
    Case("GET", "/get", version="1.0"),
    # Redirects.
    *(Case("GET", target) for target in (
        "/redirect/1", "/redirect/5?absolute=true", "/relative-redirect/3", "/absolute-redirect/3",
        "/redirect-to?url=https%3A%2F%2Fb.test%2F%3Fq%3D%C3%A4&status_code=307", "/redirect-to?url=/get", "/links/3",
        "/links/3/1",
    )),
    with_body("POST", "/redirect-to?url=/post&status_code=308", FORM, "application/x-www-form-urlencoded"),
    # Cookies.
    Case("GET", "/cookies", ('Cookie: a=b; c=d; e="f g"',)),
    Case("GET", "/cookies", ("Cookie: a=1; a=2; flag; =x; ;",)),
    Case("GET", "/cookies/set?one=1&two=%C3%A4;b&three=x%20y"),
    Case("GET", "/cookies/set/name/value"),
    Case("GET", "/cookies/delete?one&two", ("Cookie: one=1; two=2; three=3",)),
    # Proofs towards the site.
    Case("GET", "/basic-auth/user/passwd"),
    Case("GET", "/basic-auth/user/passwd", (_basic("user:passwd"),)),
    Case("GET", "/basic-auth/user/passwd", (_basic("user:wrong"),)),
    Case("GET", "/hidden-basic-auth/user/passwd"),
    Case("GET", "/hidden-basic-auth/user/passwd", (_basic("user:passwd"),)),
    Case("GET", "/bearer"),
    Case("GET", "/bearer", ("Authorization: Bearer abc.def",)),
    Case("GET", "/digest-auth/auth/user/passwd"),
    Case("GET", "/digest-auth/auth-int/user/passwd/SHA-256"),
    Case("GET", _URI, (_digest("passwd"), "Cookie: stale_after=never; fake=fake_value")),
    Case("GET", _URI, (_digest("wrong"), "Cookie: stale_after=never; fake=fake_value")),
    # Codings and kinds.
    *(Case("GET", target, ("Accept-Encoding: gzip, deflate, br",)) for target in (
        "/gzip", "/deflate", "/brotli", "/html", "/json", "/xml", "/robots.txt", "/deny", "/encoding/utf8", "/forms/post",
        "/", "/legacy", "/spec.json", "/base64/SFRUUEJJTiBpcyBhd2Vzb21l", "/base64/%25%25", "/uuid",
        "/image/png", "/image/jpeg", "/image/webp", "/image/svg",
    )),
    *(Case("GET", "/image", (f"Accept: {kind}",)) for kind in ("image/webp", "image/*", "text/plain")),
    # Streams.
    *(Case("GET", target) for target in (
        "/stream/1", "/stream/100", "/stream-bytes/1?seed=3", "/stream-bytes/102400?seed=3", "/stream-bytes/5000?seed=3&chunk_size=7",
        "/stream-bytes/0", "/bytes/0", "/bytes/1?seed=9", "/bytes/102400?seed=9",
        "/drip?numbytes=10&duration=0.4&delay=0", "/drip?numbytes=5&duration=0.1&delay=0.2&code=203", "/drip?numbytes=0",
        "/delay/1", "/delay/0.1",
    )),
    Case("POST", "/delay/0.2", ("Content-Length: 0",)),
    # Ranges and conditions.
    Case("GET", "/range/1024"),
    Case("GET", "/range/1024?duration=0.2&chunk_size=100"),
    *(Case("GET", "/range/1024", (f"Range: bytes={part}",)) for part in ("0-", "10-19", "-24", "1000-2000", "0-1023", "9-1")),
    Case("GET", "/range/0"),
    Case("GET", "/etag/abc"),
    *(Case("GET", "/etag/abc", (condition,)) for condition in (
        'If-None-Match: "abc"', 'If-None-Match: W/"abc", "x"', "If-None-Match: *", 'If-None-Match: "x"', 'If-Match: "abc"',
        'If-Match: "x"',
    )),
    Case("GET", "/cache"),
    Case("GET", "/cache", ("If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT",)),
    Case("GET", "/cache", ('If-None-Match: "x"',)),
    Case("GET", "/cache/60"),
    # Header fields of answers.
    *(Case(method, target, fields) for method, fields in (("GET", ()), ("POST", ("Content-Length: 0",))) for target in (
        "/response-headers?x=1&y=2&x=3", "/response-headers?Set-Cookie=a%3D1&Set-Cookie=b%3D2%3B%20Path%3D/&Set-Cookie=a%3D3",
        "/response-headers?Vary=Cookie&Link=%3C/a%3E;%20rel=preload&Link=%3C/b%3E&Vary=Accept&Content-Language=de,%20fr",
        "/response-headers?Age=3&Expires=0&Warning=1&X-Empty=&Content-Type=text/odd%3B%20a%3D%22b%22",
    )),
)  # fmt: skip
