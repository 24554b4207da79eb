"""fastapi-proxy-lib as its documentation starts it."""

from __future__ import annotations

import os

from fastapi_proxy_lib.fastapi.app import reverse_http_app  # type: ignore[import-not-found]  # in .venv-bench only

app = reverse_http_app(base_url=os.environ["BENCH_BACKEND"] + "/")
