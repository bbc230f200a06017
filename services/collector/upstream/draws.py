"""What a fake upstream draws, each from a block of its own beside those of the simulator."""

from typing import Final

MIX: Final = 100
MISHAP: Final = 101
HAPPENING: Final = 102
