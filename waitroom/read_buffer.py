"""The one small buffer into which all connections of a process read, visitors' and the site's.

An event loop left to itself reads up to 256 kB at once from whoever has so much to say, and what the other side cannot
take yet is then held for each connection. So connections are `asyncio.BufferedProtocol`s over this buffer: what is read
is dealt with, and copied where it has to stay, before anything else is read. One event loop a process, therefore.
"""

from __future__ import annotations

from typing import Final

READ_BYTES: Final = 20 * 1024
"""The most that is read at once. A head and a body of 16 kB fit, so that common answers pass in one piece."""

NEXT_READ_BYTES: Final = 12 * 1024
"""The most of an answer that is read at once behind its first read: what a visitor who reads nothing holds of it."""

READ_BUFFER: Final = memoryview(bytearray(READ_BYTES))
NEXT_READ_BUFFER: Final = READ_BUFFER[:NEXT_READ_BYTES]
