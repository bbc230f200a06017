"""Durations as people write them: `250ms`, `15s`, `5m`, `24h`, `7d`; a bare number is seconds.

A `Duration` is a float of seconds with that notation, so code computes with it as with any number.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", re.ASCII)


class Duration(float):
    """Seconds, never negative, never infinite."""

    @classmethod
    def of(cls, value: float | str) -> Self:
        if isinstance(value, str):
            return cls._read(value)
        if isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise ValueError(f"{value!r} is not a duration")
        return cls(value)

    @classmethod
    def _read(cls, text: str) -> Self:
        written = _WRITTEN.fullmatch(text)
        if written is None:
            raise ValueError(f"{text!r} is not a duration")
        number, unit = written.groups()
        return cls(float(number) * _UNITS[unit or "s"])

    def __str__(self) -> str:
        """In the largest unit that divides it evenly; `of` reads it back."""
        for unit, seconds in reversed(_UNITS.items()):
            count = round(self / seconds)
            if count and math.isclose(count * seconds, self, rel_tol=1e-12):
                return f"{count}{unit}"
        return f"{float(self):f}".rstrip("0").rstrip(".") + "s"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            cls._accept,
            core_schema.is_instance_schema(cls),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def _accept(cls, value: object) -> Self:
        if isinstance(value, int | float | str):
            return cls.of(value)
        raise ValueError(f"{value!r} is not a duration")
