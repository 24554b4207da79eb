"""`Client` on fakeredis: the store's contract without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakeredis import FakeAsyncRedis, FakeServer
from redis.exceptions import NoScriptError, ResponseError

from waitroom.store.wire import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waitroom.store.client import Client
    from waitroom.store.scripts import Script
    from waitroom.store.wire import Word


class SimulatedServer:
    """A server of its own, empty."""

    def __init__(self) -> None:
        self._redis = FakeAsyncRedis(server=FakeServer())
        self._redis.response_callbacks.clear()  # answers as they are on the wire

    async def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> Any:
        try:
            return await self.command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.command("EVAL", script.source, len(keys), *keys, *arguments)

    async def command(self, *words: Word) -> Any:
        try:
            answer = await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]
        except NoScriptError:
            raise
        except ResponseError as error:
            raise ServerError(str(error)) from error
        if isinstance(answer, dict):  # a map of the newer protocol; on the wire it is a flat list
            return [word for pair in answer.items() for word in pair]
        return answer

    def part(self, key: str) -> str:
        return ""

    async def masters(self) -> Sequence[Client]:
        return (self,)

    async def aclose(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()
