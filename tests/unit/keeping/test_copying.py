"""A copy of a directory fits together whatever writes meanwhile, and is nothing until it is whole."""

from __future__ import annotations

import asyncio
import functools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from services import wiring
from services.keeping import copying
from services.shared import fit
from services.shared.fit import Parts
from services.shared.runtime import datadir, description, roles
from services.shared.runtime.description import Description
from services.shared.runtime.exits import Exit, Refused
from services.shared.runtime.settings import Settings
from tests.deaths import Work, died
from tests.unit.conftest import Product

PARTS = ("batch.sqlite", "lake", "speed.sqlite", "log.sqlite")


def silent(_done: str) -> None:
    pass


async def parts_of(path: Path) -> Parts:
    parts = await wiring.parts(path, Settings())
    assert parts is not None
    assert list(fit.misfits(parts, path)) == []
    assert fit.missed(parts) is None
    return parts


async def backup(source: Path, target: Path) -> None:
    await copying.backup(source, target, silent)


async def restore(source: Path, target: Path) -> None:
    await copying.restore(source, target, silent)


async def test_a_backup_is_the_same_and_what_is_restored_has_a_log_of_its_own(
    product: Product, tmp_path: Path
) -> None:
    done: list[str] = []
    original = await parts_of(product.data)
    await copying.backup(product.data, tmp_path / "kept", done.append)
    assert done == [f"copied {part}" for part in PARTS]
    assert await parts_of(tmp_path / "kept") == original

    kept = tmp_path / "carried elsewhere"
    await asyncio.to_thread((tmp_path / "kept").rename, kept)
    await restore(kept, tmp_path / "new")
    new = await parts_of(tmp_path / "new")
    assert new.log != original.log
    assert new.batch is not None
    assert new.speed is not None
    assert new.lake is not None
    assert {new.batch.log, new.speed.log, new.lake.log} == {new.log}
    assert new.batch == replace(original.batch or new.batch, log=new.log)
    assert (new.start, new.end, new.time) == (original.start, original.end, original.time)
    assert new.lake == replace(original.lake or new.lake, log=new.log)
    described = await asyncio.to_thread(description.read, tmp_path / "new")
    assert described == await asyncio.to_thread(description.read, product.data)


@pytest.mark.parametrize("work", [backup, restore])
@pytest.mark.parametrize("part", range(1, len(PARTS) + 1))
async def test_one_that_dies_is_nobodys_until_the_same_again_makes_it_whole(
    product: Product, tmp_path: Path, work: Work, part: int
) -> None:
    target = tmp_path / "copy"
    at = f"keeping.part-copied:{part}"
    assert await died(work, product.data, target, at=at) == Exit.CRASHED
    for create in (True, False):
        opened = functools.partial(datadir.open_directory, target, source="demo", create=create)
        with pytest.raises(Refused, match="the same command again goes on with it"):
            await asyncio.to_thread(opened)
    await work(product.data, target)
    await parts_of(target)


async def test_a_part_that_is_not_there_is_not_in_the_copy(
    product: Product, tmp_path: Path
) -> None:
    await backup(product.data, tmp_path / "a")
    await asyncio.to_thread((tmp_path / "a" / "speed.sqlite").unlink)
    await restore(tmp_path / "a", tmp_path / "b")
    assert (await parts_of(tmp_path / "b")).speed is None


async def test_files_that_an_earlier_backup_has_take_no_more_space(
    product: Product, tmp_path: Path
) -> None:
    await backup(product.data, tmp_path / "a")
    await copying.backup(product.data, tmp_path / "b", silent, earlier=tmp_path / "a")

    def files(path: Path) -> set[int]:
        return {file.stat().st_ino for file in path.rglob("*.parquet")}

    assert await asyncio.to_thread(lambda: files(tmp_path / "b") == files(tmp_path / "a") != set())


async def test_what_does_not_fit_is_not_finished(product: Product, tmp_path: Path) -> None:
    await asyncio.to_thread(shutil.copytree, product.data, tmp_path / "odd")
    await restore(product.data, tmp_path / "other")
    other = tmp_path / "other" / "batch.sqlite"
    await asyncio.to_thread(shutil.copyfile, other, tmp_path / "odd" / "batch.sqlite")
    with pytest.raises(Refused, match="the copy is not whole: the batch view belongs to log"):
        await backup(tmp_path / "odd", tmp_path / "copy")
    with pytest.raises(Refused, match="is being filled"):
        await asyncio.to_thread(datadir.open_directory, tmp_path / "copy", create=False)


async def test_two_do_not_fill_one_directory(product: Product, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    await asyncio.to_thread(datadir.claim, target, Description("demo"))
    async with roles.hold(target, "copy"):
        with pytest.raises(Refused, match="another copy already runs"):
            await backup(product.data, target)


async def test_a_batch_run_is_waited_for(product: Product, tmp_path: Path) -> None:
    async with roles.hold(product.data, "batch"):
        copied = asyncio.create_task(backup(product.data, tmp_path / "copy"))
        done, _ = await asyncio.wait([copied], timeout=0.3)
        assert not done
    await copied


async def test_what_can_not_be_copied_is_refused_with_the_way_out(
    product: Product, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    await asyncio.to_thread(description.write, old, Description("demo", format=1))
    with pytest.raises(Refused, match="there is no data here"):
        await backup(tmp_path / "none", tmp_path / "copy")
    with pytest.raises(Refused, match="is in the directory that is copied"):
        await backup(product.data, product.data / "backup")
    with pytest.raises(Refused, match="has data already"):
        await restore(product.data, old)
    with pytest.raises(Refused, match="bvw migrate --data"):
        await restore(old, tmp_path / "copy")
    await asyncio.to_thread(description.write, old, Description("demo"))
    with pytest.raises(Refused, match="has no log yet"):
        await backup(old, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


async def test_what_can_not_even_be_read_is_refused(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda _path, _mode: False)  # as on a read-only medium
    with pytest.raises(Refused, match="can't be written to"):
        await restore(product.data, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
