"""What a naive client loses: one that resumes at the last id it saw, as EventSource does.

Measured on the real service (95-reconnect.txt of the recordings) over the same hundred events, whose times are
whole seconds and not in order: reconnecting after one, it skips what shares a second with what it saw;
after more, it is sent back by an earlier time and goes round in circles, until it is stopped.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from services.collector.upstream.history import History
from services.collector.upstream.serve import serving
from tests.unit.upstream import wire
from tests.unit.upstream.test_captures import captured

ROUNDS = 251


async def naive(address: str, every: int) -> tuple[int, list[int]]:
    """Rounds in which there was something, and the offsets that were received."""
    received: list[int] = []
    headers: dict[str, str] = {}
    for rounds in range(ROUNDS):
        client = await wire.Client.open(
            address, wire.STREAM + ("" if headers else wire.SINCE), **headers
        )
        try:
            some = await client.events(every, quiet=1.0)
        finally:
            client.close()
        if not some:
            return rounds, received
        received += [event.json["meta"]["offset"] for event in some]
        headers = {"Last_Event_ID": json.dumps(some[-1].id)}
    return ROUNDS, received


@pytest.mark.parametrize("every", [1, 3, 7])
async def test_a_naive_client_loses_what_it_lost_at_the_real_service(
    recordings: Path, polars: History, every: int
) -> None:
    measured = captured(recordings / "eventstreams" / "95-reconnect.txt").decode()
    async with serving(polars) as upstream:
        rounds, received = await naive(upstream.address, every)
    line = (
        f"reconnect every {every}: rounds {rounds} received {len(received)}"
        f" distinct {len(set(received))} lost {100 - len(set(received))}"
        f" duplicated {len(received) - len(set(received))}"
    )
    assert line in measured.splitlines()


async def test_without_interruption_it_gets_everything(recordings: Path, polars: History) -> None:
    measured = captured(recordings / "eventstreams" / "95-reconnect.txt").decode()
    async with serving(polars) as upstream:
        events = (await wire.get(upstream.address, wire.STREAM + wire.SINCE)).events
    distinct = {event.json["meta"]["id"] for event in events}
    assert re.search(rf"uninterrupted {len(events)} distinct {len(distinct)}\n", measured)


async def test_unique_milliseconds_in_order_are_resumed_exactly(history: History) -> None:
    """Also measured (96-reconnect-ms.txt): nothing lost, nothing twice."""
    times = [message.timestamp for message in history]
    unique = History()
    for number in range(len(times)):
        unique.append(b'{"n":%d}' % number, times[0] + number)
    async with serving(unique) as upstream:
        _, received = await naive(upstream.address, 37)
    assert received == list(range(len(times)))


async def test_events_of_the_other_data_centre_are_lost_on_a_live_resume(history: History) -> None:
    """`offset: -1` means from now on: what came into that topic meanwhile is not seen."""
    async with serving(history) as upstream:
        client = await wire.Client.open(upstream.address)
        history.append(b'{"n":1}', history.latest_ms + 1)
        (seen,) = await client.events(1)
        client.close()
        history.append(b'{"n":2}', history.latest_ms + 1, topic="codfw.mediawiki.recentchange")
        again = await wire.Client.open(upstream.address, Last_Event_ID=json.dumps(seen.id))
        history.append(b'{"n":3}', history.latest_ms + 1, topic="codfw.mediawiki.recentchange")
        (next_,) = await again.events(1)
        again.close()
    assert (seen.json["n"], next_.json["n"]) == (1, 3)
    assert {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": -1} in seen.id
