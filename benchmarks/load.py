"""A process that sends bundles from many connections at once, and says how long each answer took.

Usage: ``python benchmarks/load.py PORT --kind results --clients 16 --seconds 10 [--rate N] [--start N]``

It speaks just enough HTTP to cost little beside the service on the same machine, and says what it cost.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from collections import Counter

from messages import Make, newcomers, results

KINDS = {"results": results, "newcomers": newcomers}
_HEAD = (
    b"POST /fhir HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/fhir+json\r\n"
    b"Accept: application/fhir+json\r\nContent-Length: %d\r\n\r\n"
)


class Sent:
    """What was sent and what came of it."""

    def __init__(self, make: Make, start: int) -> None:
        self._make = make
        self.number = start
        self.statuses = Counter[int]()
        self.seconds: list[float] = []
        self.lost = 0

    def next(self) -> bytes:
        """Give the next request."""
        body = self._make(self.number)
        self.number += 1
        return _HEAD % len(body) + body


class _Client(asyncio.Protocol):
    """One connection: the next request as soon as the answer is whole, or when its turn comes."""

    def __init__(self, sent: Sent, until: float, every_s: float) -> None:
        self.sent = sent
        self.until = until
        self.every_s = every_s
        self.ended = asyncio.get_running_loop().create_future()
        self._got = bytearray()
        self._length = -1
        self._began = self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP gives one)
        self.transport = transport
        self._due = time.perf_counter()
        self._send()

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._length < 0:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._got[:end]).lower()
            self._length = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._got) < self._length:
            return
        self.sent.statuses[int(self._got[9:12])] += 1
        now = time.perf_counter()
        # Of a rate, late is counted from when it should have been sent: a slow answer delays what comes after it.
        self.sent.seconds.append(now - (self._due if self.every_s else self._began))
        self._got.clear()
        self._length = -1
        if now >= self.until:
            self.transport.close()
            return
        self._due += self.every_s
        if self._due > now:
            asyncio.get_running_loop().call_later(self._due - now, self._send)
        else:
            self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._got or time.perf_counter() < self.until:
            self.sent.lost += 1
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        if self.transport.is_closing():
            return
        self._began = time.perf_counter()
        self.transport.write(self.sent.next())


async def send(port: int, sent: Sent, clients: int, seconds: float, rate: float) -> float:
    """Send for so long from so many; gives how long it took."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    every_s = clients / rate if rate else 0.0
    opened = []
    for _ in range(clients):
        _, client = await loop.create_connection(lambda: _Client(sent, began + seconds, every_s), "127.0.0.1", port)
        opened.append(client)
        if every_s:
            await asyncio.sleep(every_s / clients)
    await asyncio.gather(*(each.ended for each in opened))
    return time.perf_counter() - began


def main() -> None:
    """Send, and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--kind", choices=sorted(KINDS), default="results")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0, help="requests a second in all; 0: as fast as answers come")
    parser.add_argument("--start", type=int, default=0, help="the number of the first message")
    options = parser.parse_args()
    sent = Sent(KINDS[options.kind](), options.start)
    taken = asyncio.run(send(options.port, sent, options.clients, options.seconds, options.rate))
    used = resource.getrusage(resource.RUSAGE_SELF)
    ordered = sorted(sent.seconds)
    made = {
        "kind": options.kind,
        "sent": sent.number - options.start,
        "per_second": len(ordered) / taken,
        "p50_ms": _at(ordered, 0.5),
        "p95_ms": _at(ordered, 0.95),
        "p99_ms": _at(ordered, 0.99),
        "max_ms": _at(ordered, 1),
        "statuses": {str(status): count for status, count in sorted(sent.statuses.items())},
        "lost": sent.lost,
        "client_cpu": (used.ru_utime + used.ru_stime) / taken,
        "bytes": len(sent.next()),
    }
    json.dump(made, sys.stdout)


def _at(ordered: list[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


if __name__ == "__main__":
    main()
