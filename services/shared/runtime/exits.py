"""How the command ends: one table of exit codes, one exception for a plain refusal.

A person who mistypes a setting deserves one line that names it, where it came from, what is
accepted and the way out; a traceback tells them about our code instead. So whatever stops a
command for a reason that its caller can act on raises `Refused`; the command prints its line and
exits with its code. Everything else is a defect: it keeps its traceback and exits with `DEFECT`.

The numbers are those of sysexits.h where it has one, and 128 + signal where a signal ended us.
"""

from __future__ import annotations

import enum
from typing import Self


class Exit(enum.IntEnum):
    """An exit code with what it means to the caller (docs/exit-codes.md is this table)."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "Done; also after a graceful stop by SIGINT or SIGTERM."
    DIFFERENT = (
        1,
        "Ran to its end, but what it checked does not hold: an audit found differences, a check-up a fault.",
    )
    USAGE = 2, "The command line was not understood."
    DEFECT = 70, "An error that should not happen; the traceback is on stderr."
    TEMPORARY = 75, "Not now: another process has the role or the port, or a server is away. Retry."
    CONFIGURATION = 78, "A setting, file or data directory does not fit; retrying does not help."
    INTERRUPTED = 130, "A second SIGINT, or one during a short command: stopped at once."
    CRASHED = 137, "Killed, or ended by an armed crash point."
    TERMINATED = 143, "A second SIGTERM, or a stop that took too long: stopped at once."


class Refused(Exception):
    """What the caller can put right, said in one line."""

    def __init__(self, message: str, code: Exit = Exit.CONFIGURATION) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
