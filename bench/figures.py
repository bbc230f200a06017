"""What a benchmark gives: figures, and ratios to a peer that was measured in the same rounds."""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `ratio` is ours against the peer's, above 1 = better than the peer; of several rounds it is the
    median, and `least` and `most` say how far they lie apart.
    """

    name: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    least: float | None = None
    most: float | None = None
    expected: str = ""


Work = Callable[[], object]


def cpu(work: Work) -> float:
    """Seconds of this process's CPU that the work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def against(
    name: str,
    ours: Work,
    peer: str,
    theirs: Work,
    count: int,
    *,
    expected: str = "",
    rounds: int = 5,
) -> Figure:
    """Microseconds of CPU for one of `count`, by turns with the peer; how often the peer's."""
    pairs = [(cpu(ours), cpu(theirs)) for _ in range(rounds)]
    ratios = [their / our for our, their in pairs]
    best = min(our for our, _ in pairs) / count * 1e6
    return Figure(
        name, best, "us", peer, statistics.median(ratios), min(ratios), max(ratios), expected
    )


def against_rates(
    name: str, rates: Sequence[tuple[float, float]], peer: str, *, expected: str = ""
) -> Figure:
    """Requests a second, ours and the peer's by turns."""
    ratios = [our / their for our, their in rates]
    ours = statistics.median(our for our, _ in rates)
    return Figure(
        name, ours, "1/s", peer, statistics.median(ratios), min(ratios), max(ratios), expected
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank: the least value that `percent` of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def table(benchmark: str, figures: Sequence[Figure], console: Console) -> None:
    shown = Table(title=benchmark, title_justify="left", show_edge=False)
    for heading, justify in (
        ("figure", "left"), ("value", "right"), ("", "left"), ("ratio", "right"),
        ("range", "right"), ("against", "left"), ("expected", "left"),
    ):  # fmt: skip
        shown.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for figure in figures:
        shown.add_row(*_cells(figure))
    console.print(shown)


def _cells(figure: Figure) -> Iterator[str]:
    yield figure.name
    yield f"{figure.value:,.0f}" if abs(figure.value) >= 100 else f"{figure.value:.2f}"
    yield figure.unit
    yield "" if figure.ratio is None else f"{figure.ratio:.2f}"
    many = figure.least is not None and figure.most is not None
    yield f"{figure.least:.2f}-{figure.most:.2f}" if many else ""
    yield figure.peer
    yield figure.expected


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    return [{k: v for k, v in asdict(f).items() if v not in (None, "")} for f in figures]
