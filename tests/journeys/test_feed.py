"""The live feed of the real command, while a stream of which everything is known comes in.

A reader that is never cut off says what there is to get; all others must get the same.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from services.shared.domain.positions import Vector, reaches
from tests.frames import Frame, position, understood
from tests.journeys import harness
from tests.journeys.harness import Running
from tests.journeys.test_stream import Fake, following, upstream

EVENTS, PACE = 6_000, 30
UNREAD = 1 << 20
"""Bytes that nobody waits for: more than the kernels and the server hold together."""
_BOTS = {"group-bot", "name-bot"}


class Reader:
    """A thread that reads a stream to its end; `pause` keeps it from reading on."""

    def __init__(self, url: str, last_id: str = "", **query: object) -> None:
        self._reading = threading.Event()
        self._reading.set()
        self._got = bytearray()
        address = urlsplit(url)
        self._connection = _Small(str(address.hostname), address.port, timeout=harness.PATIENCE)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self._connection.request("GET", f"/v1/changes/stream?{urlencode(query)}", headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def raw(self) -> bytes:
        return bytes(self._got)

    @property
    def frames(self) -> list[Frame]:
        return understood(self.raw)[0]

    @property
    def changes(self) -> list[Any]:
        return [frame.data for frame in self.frames if frame.event == "message"]

    @property
    def count(self) -> int:
        return self._got.count(b"\ndata: ")

    @property
    def id(self) -> str:
        whole = self.raw.rpartition(b"\n\n")[0]
        _, found, rest = whole.rpartition(b"\nid: ")
        return rest.partition(b"\n")[0].decode() if found else ""

    def reaches(self, end: Vector) -> bool:
        return bool(self.id) and reaches(position(self.id), end)

    def pause(self) -> None:
        self._reading.clear()

    def go_on(self) -> None:
        self._reading.set()

    def ended(self) -> None:
        self._thread.join(harness.PATIENCE)
        assert not self._thread.is_alive(), f"goes on after {self.frames[-1:]}"

    def cut(self) -> None:
        """As a network may: without a word, and with what has not been read lost."""
        self._reading.set()
        self._connection.cut()
        self._thread.join(harness.PATIENCE)

    def _read(self) -> None:
        try:
            while self._reading.wait(harness.PATIENCE) and (more := self.response.read1(4_096)):
                self._got += more
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.error = error
        finally:
            self.response.close()
            self._connection.kept.close()


class _Small(http.client.HTTPConnection):
    """Its kernel holds little of what has not been read."""

    def connect(self) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))
        self.kept = self.sock

    def cut(self) -> None:
        self.kept.shutdown(socket.SHUT_RDWR)


@dataclass
class Scene:
    fake: Fake
    up: Running
    url: str
    beginning: str
    """The id of the log's beginning."""

    def read(self, last_id: str = "", **query: object) -> Reader:
        return Reader(self.url, last_id, **query)

    def until(self, reached: Callable[[], object], what: str) -> None:
        self.up.until(lambda: bool(reached()), what)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    with (
        upstream(folder, "duplicate=500,5,30", events=EVENTS, pace=PACE) as fake,
        following(fake, folder / "data") as up,
    ):
        url = up.url(folder / "data")
        first = Reader(url)
        up.until(lambda: first.id, "an id comes at once")
        first.cut()
        log, positions = first.id.split(",", 1)
        yield Scene(fake, up, url, f"{log},[{','.join('0' * (positions.count(',') + 1))}]]")


def test_every_change_once_for_everybody(tmp_path: Path) -> None:
    with scene(tmp_path) as at:
        whole = at.read(at.beginning)
        some = at.read(at.beginning, project="en.wikipedia", type="edit", q="the")
        bots = at.read(at.beginning, editor_type="bots")
        nothing = at.read(q="nothinglikethis")
        slow = at.read()
        at.until(lambda: slow.count, "a change comes")
        slow.pause()
        before = len(whole.raw)
        at.until(lambda: len(whole.raw) > before + UNREAD, "others read on")
        slow.go_on()
        torn = _often_cut(at, until=EVENTS // 2)
        distinct = at.fake.truth["distinct"]
        at.until(lambda: whole.count >= distinct, f"all {distinct} changes come")

        slow.ended()
        assert slow.frames[-1].event == "overrun"
        assert slow.error is None, "it ends in order"
        rest = at.read(slow.id)
        end = position(whole.id)
        for reader in (rest, some, bots, nothing):
            at.until(lambda it=reader: it.reaches(end), "it has all that there is")  # type: ignore[misc]
        changes = whole.changes
        ids = [change["id"] for change in changes]
        assert len(set(ids)) == len(ids) == distinct
        assert torn == ids[: len(torn)]
        assert len(torn) >= EVENTS // 2
        late = [change["id"] for change in slow.changes + rest.changes]
        assert late == ids[-len(late) :]
        assert bots.changes == [c for c in changes if c["editor_type"] in _BOTS]
        listed = harness.get(
            at.url, "/v1/changes", project="en.wikipedia", type="edit", q="the", limit=1_000
        )
        assert some.changes[-1_000:] == listed["changes"][::-1]
        assert some.changes
        assert nothing.frames == []

        readers = (whole, some, bots, nothing, rest)
        assert at.up.stop() == 0
        for reader in readers:
            reader.ended()
            assert reader.error is None, "every stream ends in order"


def _often_cut(at: Scene, until: int) -> list[str]:
    """The ids that a reader gets whose connection never lasts."""
    found: list[str] = []
    last_id = at.beginning
    while len(found) < until:
        reader = at.read(last_id)
        at.until(lambda it=reader: it.count >= 100, "changes come")  # type: ignore[misc]
        reader.cut()
        found += [change["id"] for change in reader.changes]
        last_id = reader.id
    return found


def test_a_quiet_stream_shows_that_it_lives(tmp_path: Path) -> None:
    one = ("--source", "demo", "--events", 1)
    with harness.running("up", *one, "--data", tmp_path, *harness.ANY_PORT) as up:
        reader = Reader(up.url(tmp_path))
        up.until(lambda: b"\n:\n\n" in reader.raw, "a comment comes")
        reader.cut()
        assert up.stop() == 0
