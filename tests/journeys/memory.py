"""What a process holds in memory, and has held at most."""

from __future__ import annotations

from pathlib import Path


def memory_bytes(process: int, figure: str) -> int:
    """Return VmRSS, or VmHWM, the highest it was since `forget_peak`."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{figure}:"))


def forget_peak(process: int) -> None:
    """Begin to look for the highest anew."""
    Path(f"/proc/{process}/clear_refs").write_text("5")
