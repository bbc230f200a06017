"""Which fault comes next: to a request, and in the course of a stream that is open.

A fault happens so many times in all, whichever connection it hits; when it has, the upstream behaves. A cut
by time belongs to one connection from its beginning on, and is given back if that ends before.
Where exactly a connection breaks is drawn, the same for the same seed and order of events.
"""

from collections import Counter
from typing import Final, NamedTuple

from services.collector.simulator.chance import Chance
from services.collector.upstream import draws
from services.collector.upstream.faults import Fault, Script

_ANSWERS: Final = {"status", "html", "redirect", "notopic", "refuse", "hang"}
_WAYS: Final = ("fin", "reset", "end")


class Ending(NamedTuple):
    """How a stream ends; `part` of what would have been sent next is still sent."""

    how: str
    part: float


class Mishaps:
    """What is left of a script."""

    def __init__(self, script: Script, seed: int) -> None:
        self.script = script
        self._seed = seed
        self._left = [fault.values.get("TIMES", 0) for fault in script]
        self._endings = 0
        self.happened: Counter[str] = Counter()
        """How often each fault has happened; the feed counts here what it adds."""

    def standing(self, name: str) -> Fault | None:
        """A fault that holds all the time."""
        return next((fault for fault in self.script if fault.name == name), None)

    def take(self, *names: str) -> Fault | None:
        """The next of these faults, which has happened by that."""
        for number, fault in enumerate(self.script):
            if fault.name in names and self._left[number]:
                self._left[number] -= 1
                self.happened[fault.name] += 1
                return fault
        return None

    def answer(self, *, resumes: bool) -> Fault | None:
        """The fault that a request is answered with."""
        return self.take(*(_ANSWERS if resumes else _ANSWERS - {"notopic"}))

    def course(self) -> "Course":
        """What is to happen to the stream that is opened now."""
        return Course(self)

    def reserve(self, number: int) -> bool:
        if not self._left[number]:
            return False
        self._left[number] -= 1
        return True

    def give_back(self, number: int) -> None:
        self._left[number] += 1

    def ending(self, fault: Fault) -> Ending:
        """How this one ends it; it has happened by that."""
        self.happened[fault.name] += 1
        self._endings += 1
        drawn = Chance(self._seed, draws.MISHAP, self._endings)
        how = fault.values.get("HOW", fault.name)
        return Ending(drawn.choice(_WAYS) if how == "any" else how, drawn.random())


class Course:
    """Of one stream, whose events are counted from its beginning."""

    def __init__(self, mishaps: Mishaps) -> None:
        self._mishaps = mishaps
        self._silences: set[int] = set()
        self._timed = {
            number: fault
            for number, fault in enumerate(mishaps.script)
            if fault.name == "cut" and isinstance(fault["EVERY"], float)
            if mishaps.reserve(number)
        }

    @property
    def deadline(self) -> float | None:
        """The age in seconds at which it is cut at the latest."""
        return min((float(fault["EVERY"]) for fault in self._timed.values()), default=None)

    def silence(self, sent: int) -> float | None:
        """How long to say nothing now."""
        for number, fault in enumerate(self._mishaps.script):
            if fault.name == "silence" and sent >= fault["EVENTS"] and number not in self._silences:
                self._silences.add(number)
                if self._mishaps.reserve(number):
                    self._mishaps.happened["silence"] += 1
                    return float(fault["FOR"])
        return None

    def ending(self, sent: int, age: float, *, more: bool) -> Ending | None:
        """How it ends now, if it does; `more` if there is an event to send."""
        for number, fault in self._timed.items():
            if age >= fault["EVERY"]:
                del self._timed[number]
                return self._mishaps.ending(fault)
        for number, fault in enumerate(self._mishaps.script):
            if self._falls_due(fault, sent, more=more) and self._mishaps.reserve(number):
                return self._mishaps.ending(fault)
        return None

    def over(self) -> None:
        """It has ended, one way or another."""
        for number in self._timed:
            self._mishaps.give_back(number)
        self._timed.clear()

    def _falls_due(self, fault: Fault, sent: int, *, more: bool) -> bool:
        match fault.name:
            case "cut":
                return isinstance(fault["EVERY"], int) and sent >= fault["EVERY"]
            case "half":
                return more and sent >= fault["EVENTS"]
            case "error":
                return bool(sent >= fault["EVENTS"])
            case _:
                return False
