from hypothesis import given
from hypothesis import strategies as st

from services.shared.lake import compaction
from services.shared.lake.compaction import FAN, LARGE_BYTES, LARGE_ROWS, File

DAY = 20150912


def small(n: int, rows: int = 1, day: int = DAY) -> File:
    return File(day, f"{day}-{n}", rows, 100 * rows, n)


def test_few_files_are_left_alone() -> None:
    assert compaction.plan(small(n) for n in range(FAN - 1)) == []


def test_enough_files_of_a_day_become_one_in_the_order_of_their_rows() -> None:
    files = [small(n) for n in range(FAN)]
    assert compaction.plan(reversed(files)) == [files]


def test_days_do_not_mix() -> None:
    files = [small(n, day=DAY + n % 2) for n in range(2 * FAN - 2)]
    assert compaction.plan(files) == []


def test_tiers_do_not_mix() -> None:
    files = [small(n) for n in range(FAN - 1)] + [small(n, rows=FAN) for n in range(FAN - 1)]
    assert compaction.plan(files) == []


def test_large_files_are_never_rewritten() -> None:
    rows = [File(DAY, str(n), LARGE_ROWS, 1, n) for n in range(20)]
    size = [File(DAY, str(n), 1, LARGE_BYTES, n) for n in range(20)]
    assert compaction.plan(rows + size) == []


def test_a_group_ends_when_it_is_large_enough() -> None:
    files = [small(n, rows=LARGE_ROWS // 4) for n in range(10)]
    assert [len(group) for group in compaction.plan(files)] == [4, 4]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=400))
def test_a_day_of_runs_stays_small_and_rows_are_seldom_rewritten(runs: list[int]) -> None:
    files: list[File] = []
    rewritten = 0
    for n, rows in enumerate(runs):
        files.append(File(DAY, f"run-{n}", rows, rows, n))
        while groups := compaction.plan(files):
            for k, group in enumerate(groups):
                total = sum(file.rows for file in group)
                rewritten += total
                files = [file for file in files if file not in group]
                files.append(File(DAY, f"{n}-{k}-{total}", total, total, group[0].first))
    total = sum(runs)
    tiers = 1
    while FAN**tiers <= total:
        tiers += 1
    assert sum(file.rows for file in files) == total
    assert len(files) <= tiers * (FAN - 1) + total // LARGE_ROWS
    assert rewritten <= tiers * total
