"""Run a module that ends with whoever started it, even a killed one: `python -m waitroom.demo.tied MODULE …`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:  # pragma: no cover  # the exec takes the measurement along; a journey kills the demo
    """Ask the kernel for SIGTERM at the parent's death, where it knows how, and become the module."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # outlives the exec
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main()
