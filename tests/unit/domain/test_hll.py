import hashlib
from functools import reduce

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.shared.domain import hll

KEYS = st.sets(st.text(st.characters(exclude_categories=()), max_size=8), max_size=60)
# Sets of some thousand keys, so that sums of dense and of sparse registers meet.
RANGES = st.tuples(st.integers(0, 5000), st.integers(0, 4000)).map(
    lambda pair: {f"page {i}" for i in range(pair[0], pair[0] + pair[1])}
)
SETS = KEYS | RANGES


def by_the_book(keys: set[str]) -> bytes:
    """Registers from the bits as text: index, then zeros before the first 1."""
    ranks: dict[int, int] = {}
    for key in keys:
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        bits = "".join(f"{byte:08b}" for byte in digest)
        index, rest = int(bits[:12], 2), bits[12:]
        rank = len(rest) - len(rest.lstrip("0")) + 1
        ranks[index] = max(rank, ranks.get(index, 0))
    if 3 * len(ranks) < 4096:
        return b"".join(bytes([i >> 8, i & 255, ranks[i]]) for i in sorted(ranks))
    return bytes(ranks.get(i, 0) for i in range(4096))


@settings(deadline=None)
@given(SETS)
def test_registers_are_those_of_the_book(keys: set[str]) -> None:
    assert hll.registers(keys) == by_the_book(keys)


@settings(deadline=None)
@given(SETS, SETS)
@example({f"page {i}" for i in range(1500)}, {f"page {i}" for i in range(1500, 1800)})
def test_the_sum_is_that_of_the_union_to_the_byte(a: set[str], b: set[str]) -> None:
    assert hll.add(hll.registers(a), hll.registers(b)) == hll.registers(a | b)


@settings(deadline=None)
@given(SETS, SETS, SETS)
def test_add_is_associative_commutative_idempotent_and_has_an_empty_element(
    a: set[str], b: set[str], c: set[str]
) -> None:
    x, y, z = map(hll.registers, (a, b, c))
    assert hll.add(hll.add(x, y), z) == hll.add(x, hll.add(y, z))
    assert hll.add(x, y) == hll.add(y, x)
    assert hll.add(x, x) == x
    assert hll.add(x, b"") == hll.add(b"", x) == x


def test_order_and_repetition_of_keys_do_not_matter() -> None:
    keys = [f"user {i}" for i in range(3000)]
    assert hll.registers(keys) == hll.registers(reversed(keys + keys))


def test_the_encoding_changes_at_one_number_of_registers_however_it_is_reached() -> None:
    lengths = [0]
    total = b""
    keys: list[str] = []
    while len(total) < 4096:
        keys.append(f"key {len(keys)}")
        total = hll.add(total, hll.registers(keys[-1:]))
        lengths.append(len(total))
    assert sorted(set(lengths)) == [*range(0, 4096, 3), 4096]
    assert total == hll.registers(keys) == by_the_book(set(keys))


def test_few_keys_are_few_bytes_and_many_never_more_than_4096() -> None:
    assert hll.registers([]) == b""
    assert len(hll.registers(["one"])) == 3
    sizes = [len(hll.registers(f"key {i}" for i in range(n))) for n in (1400, 1700, 50_000)]
    assert sizes[0] < 4096
    assert sizes[1:] == [4096, 4096]


def test_the_estimate_is_as_good_as_promised() -> None:
    assert hll.estimate(b"") == 0
    for number in (1, 2, 10, 100, 1000, 5000, 20_000, 100_000):
        # Independent sets; the mean of n is n times as sure, none is 5 deviations off.
        errors = [
            hll.estimate(hll.registers(f"{number}/{run}/{i}" for i in range(number))) / number - 1
            for run in range(max(3, min(40, 20_000 // number)))
        ]
        deviation = hll.RELATIVE_ERROR / len(errors) ** 0.5
        # Two of few keys may share a register: one too few, however good the estimate is.
        assert max(map(abs, errors)) < 5 * hll.RELATIVE_ERROR + 2 / number
        assert abs(sum(errors) / len(errors)) < 4 * deviation


def test_the_relative_error_is_stated() -> None:
    assert pytest.approx(0.0162, abs=1e-4) == hll.RELATIVE_ERROR


def test_days_sum_up_to_a_month_without_counting_anyone_twice() -> None:
    days = [hll.registers(f"user {i}" for i in range(100 * d, 100 * d + 2000)) for d in range(31)]
    month = reduce(hll.add, days, b"")
    assert month == hll.registers(f"user {i}" for i in range(5000))
    assert hll.estimate(month) == pytest.approx(5000, rel=4 * hll.RELATIVE_ERROR)


def test_full_registers_still_have_an_estimate() -> None:
    assert hll.estimate(bytes([53]) * 4096) == float("inf")
    assert hll.estimate(bytes([52]) * 4096) > 2**60


@pytest.mark.parametrize("damaged", [b"x", b"four", bytes(4097), bytes(4098)])
def test_what_are_no_registers_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="no HyperLogLog registers"):
        hll.estimate(damaged)
    with pytest.raises(ValueError, match="no HyperLogLog registers"):
        hll.add(damaged, hll.registers(["a"]))
