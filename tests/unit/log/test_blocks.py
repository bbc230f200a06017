"""A block gives back what it was made of; neighbours are joined where that is worth it."""

from hypothesis import given
from hypothesis import strategies as st

from services.shared.log import blocks
from services.shared.log.blocks import BLOCK_BYTES, Block
from services.shared.log.port import Record

STEPS = st.tuples(st.integers(1, 2**40), st.integers(0, 2**30), st.text(max_size=9), st.binary())


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    offset, time, made = 0, 0, []
    for ahead, later, key, raw in draw(st.lists(STEPS, min_size=1, max_size=20)):
        offset, time = offset + ahead, time + later
        made.append(Record(3, offset, key, time, raw))
    return made


def sized(*sizes: int) -> list[Record]:
    return [Record(0, i, str(i), 0, b"x" * size) for i, size in enumerate(sizes)]


def block(number: int, size: int) -> Block:
    return Block(0, number * 10, number * 10 + 5, number, number, size)


@given(records(), st.sampled_from([blocks.FAST, blocks.DENSE]))
def test_a_block_gives_back_what_it_was_made_of(made: list[Record], level: int) -> None:
    assert blocks.decode(3, blocks.encode(made, level)) == made
    described = blocks.block_of(made)
    assert (described.first, described.until) == (made[0].offset, made[-1].offset + 1)
    assert (described.first_at, described.last_at) == (made[0].appended_at, made[-1].appended_at)


@given(st.lists(st.integers(0, BLOCK_BYTES * 2), min_size=1, max_size=12))
def test_pieces_are_the_records_in_order_and_not_too_big(sizes: list[int]) -> None:
    made = sized(*sizes)
    pieces = list(blocks.split(made))
    assert [record for piece in pieces for record in piece] == made
    assert all(pieces)
    assert all(sum(len(r.raw) for r in piece[:-1]) < BLOCK_BYTES for piece in pieces)


def test_what_is_a_little_more_than_a_block_makes_two_equal_ones() -> None:
    pieces = blocks.split(sized(*[1024] * 600))
    assert [len(piece) for piece in pieces] == [300, 300]


@given(st.lists(st.sampled_from([1, 900, 70_000, 200_000, 300_000, 600_000]), max_size=60))
def test_runs_are_small_neighbours_that_fit_into_one_block(sizes: list[int]) -> None:
    given = [block(number, size) for number, size in enumerate(sizes)]
    last = -1
    for run in blocks.runs(given):
        at = given.index(run[0])
        assert run == given[at : at + len(run)]
        assert at > last
        last = at + len(run) - 1
        assert len(run) > 1
        assert sum(one.bytes for one in run) <= BLOCK_BYTES
        assert all(one.bytes < BLOCK_BYTES // 2 for one in run)


def test_every_full_run_is_found_and_a_short_end_is_left_to_grow() -> None:
    small = [block(number, BLOCK_BYTES // 8) for number in range(20)]
    assert [len(run) for run in blocks.runs(small)] == [8, 8]
    tiny = [block(number, 10) for number in range(16)]
    assert list(blocks.runs(tiny[:15])) == []
    assert list(blocks.runs(tiny)) == [tiny]
    full = block(99, BLOCK_BYTES)
    assert list(blocks.runs([full, *tiny[:2], full, full])) == [tiny[:2]]
