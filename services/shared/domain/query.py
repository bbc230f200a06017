"""A question to a view, understood by every adapter of the speed and the batch view.

Values are data, never text of a query language: adapters bind them.
"""

from dataclasses import dataclass

from services.shared.domain.views import View


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column has one of the values."""

    column: str
    values: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """The column is at least `low` and less than `high`."""

    column: str
    low: int
    high: int


Condition = OneOf | Between


@dataclass(frozen=True, slots=True)
class Query:
    """The sums of a view's measures over the rows that meet all conditions, per `group`.

    Conditions and group name key columns of the view. An empty group asks for one total row with
    the key ().
    """

    view: View
    group: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        asked = {*self.group, *(condition.column for condition in self.where)}
        if unknown := asked - set(self.view.keys):
            raise ValueError(f"view {self.view.name} has no column {', '.join(sorted(unknown))}")


@dataclass(frozen=True, slots=True)
class Having:
    """Only groups whose measure is at least `low` and, unless `high` is None, less than `high`."""

    measure: str
    low: int
    high: int | None = None
