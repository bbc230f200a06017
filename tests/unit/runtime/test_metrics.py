from __future__ import annotations

import socket

import aiohttp
import pytest
from structlog.testing import capture_logs

from services.shared.runtime import metrics
from services.shared.runtime.exits import Exit, Refused


@pytest.fixture
def port(unused_tcp_port: int) -> int:
    return unused_tcp_port


async def test_metrics_are_served_on_their_own_port(port: int) -> None:
    metrics.EVENTS_REJECTED.labels("no_timestamp").inc()
    async with metrics.serve("127.0.0.1", port) as served, aiohttp.ClientSession() as client:
        assert served == port
        async with client.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
            assert answer.content_type == "text/plain"
    assert 'bvw_events_rejected_total{reason="no_timestamp"}' in text
    assert "bvw_build_info{version=" in text
    assert "process_resident_memory_bytes" in text


async def test_zero_turns_them_off() -> None:
    async with metrics.serve("127.0.0.1", 0) as served:
        assert served is None


async def test_a_taken_port_is_refused_if_chosen_and_a_warning_if_not(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}.*0 for none") as why:
            async with metrics.serve("127.0.0.1", port):
                pass
        assert why.value.code == Exit.TEMPORARY
        with capture_logs() as logged:
            async with metrics.serve("127.0.0.1", port, chosen=False) as served:
                assert served is None
        assert [line["event"] for line in logged] == ["metrics_port_taken"]
