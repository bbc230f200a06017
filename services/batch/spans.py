"""A range of positions in steps of bounded size."""

from collections.abc import Iterator

from services.shared.domain.positions import Span, Vector


def steps(span: Span, at_most: int) -> Iterator[Vector]:
    """Where each step ends, the last one at the span's end.

    Offsets have holes, so a step holds at most about `at_most` events, often fewer.
    """
    widths = [until - since for since, until in zip(*span, strict=True)]
    number = -(-sum(widths) // at_most)
    for step in range(1, number + 1):
        yield tuple(
            since + width * step // number for since, width in zip(span.since, widths, strict=True)
        )
