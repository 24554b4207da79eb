"""asgi-proxy-lib as its documentation starts it."""

from __future__ import annotations

import os

from asgi_proxy import asgi_proxy  # type: ignore[import-not-found]  # in .venv-bench only

app = asgi_proxy(os.environ["BENCH_BACKEND"])
