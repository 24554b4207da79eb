"""`python -m tests.conformance.echo_server PORT`: a WebSocket server that sends back what it gets, and hangs up with its client."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def echo(connection: ServerConnection) -> None:
    """Send back each message."""
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def main(port: int) -> None:
    """Serve until ended."""
    async with serve(echo, "127.0.0.1", port, max_size=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
