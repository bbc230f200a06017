from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.serving import made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[made.World]:
    async with made.world(tmp_path) as world:
        yield world
