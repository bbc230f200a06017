"""The simulated stream: index -> what arrives, a pure function of (seed, rate, start, first, index).

`Stream.at(i)` makes the i-th arrival alone, so a run that was stopped goes on at any index with what
an unbroken run would have given, and no id is ever made twice. What arrives is one of three:

- a *canary*;
- a *copy* of an earlier arrival, soon or minutes after it: the same bytes again (the stream was
  read twice) or the same event with another offset and arrival (its producer tried again);
- a *change*. Most have just happened, in slightly another order than they arrive; some are late by
  minutes, a few by up to a day.

Time runs in slots of 20 arrivals. In some a program works through a list: its changes, on one wiki
and one theme, crowd the beginning of the slot. `first` is the index at which the stream began at
`start_ms`; copies repeat nothing from before.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from services.collector.simulator import chance, pages, payload, people, remarks, vocabulary, wikis
from services.collector.simulator.chance import Chance
from services.collector.simulator.pages import Page
from services.collector.simulator.payload import Deed
from services.collector.simulator.people import Editor, Program
from services.collector.simulator.rhythm import Rhythm
from services.collector.simulator.wikis import Wiki
from services.shared.domain import classes
from services.shared.domain.change import EDIT, EDIT_TYPES, NEW

CANARIES: Final = 0.0005
COPIES: Final = 0.01
HOSTILE: Final = 0.006
LATE: Final = 0.003
LATE_FROM_S: Final = 120.0
LATE_TO_S: Final = 86_400.0

_SLOT: Final = 20
_BURSTS: Final = 0.15
_OF_BURST: Final = 0.85
_IN_BURSTS: Final = _BURSTS * _OF_BURST
_CROWDED: Final = 0.2
_SLOW: Final = 0.03
_CATEGORIES: Final = 100

_Actor: TypeAlias = tuple[Program | None, Wiki, str]
"""Who does it (None for a person), where, and on which theme."""


class Facts(NamedTuple):
    """What is true of a change, known from how it was made."""

    type: str
    project: str
    editor_class: str
    title: str
    theme: str
    late: bool


class Simulated(NamedTuple):
    """One arrival; `number` is its index. A canary has no facts; a copy has those of the arrival `copy_of`."""

    number: int
    at_ms: int
    raw: bytes
    facts: Facts | None
    copy_of: int | None = None


class _Slot(NamedTuple):
    """A stretch of time, with the part of bots in it and the program that crowds it, if any."""

    number: int
    begin_ms: float
    span_ms: float
    bots: float
    burst: _Actor | None


class Stream:
    """`rate` is the mean of a day, in arrivals a second."""

    def __init__(self, seed: int, rate: float, start_ms: int, first: int = 0) -> None:
        self.seed = seed
        self.first = first
        self.rhythm = Rhythm(rate, start_ms)
        self._slot = self._make_slot(first // _SLOT)

    def __iter__(self) -> Iterator[Simulated]:
        return self.since(self.first)

    def since(self, index: int) -> Iterator[Simulated]:
        """All that arrives from this index on; it never ends."""
        while True:
            yield self.at(index)
            index += 1

    def at(self, index: int) -> Simulated:
        drawn = Chance(self.seed, chance.EVENT, index)
        fate, slot = drawn.random(), self._slot_of(index)
        at_ms = self._arrival(slot, index, drawn.random())
        if fate < CANARIES:
            return Simulated(index, at_ms, payload.canary(self.seed, index, at_ms), None)
        if fate < CANARIES + COPIES:
            original = self._earlier(drawn, index)
            if original is not None:
                return self._copy(index, at_ms, original, retried=drawn.random() < 0.3)
        raw, facts = self._change(drawn, slot, index, at_ms, (index, at_ms))
        return Simulated(index, at_ms, raw, facts)

    def _copy(self, index: int, at_ms: int, original: int, *, retried: bool) -> Simulated:
        drawn, slot = Chance(self.seed, chance.EVENT, original), self._slot_of(original)
        drawn.random()
        first_ms = self._arrival(slot, original, drawn.random())
        taken_in = (index, at_ms) if retried else (original, first_ms)
        raw, facts = self._change(drawn, slot, original, first_ms, taken_in)
        return Simulated(index, at_ms, raw, facts, original)

    def _earlier(self, drawn: Chance, index: int) -> int | None:
        """The index of an earlier change; None where the stream is too young to have one."""
        minutes = drawn.random() < 0.3
        back = (60 + drawn.below(840)) * self.rhythm.rate if minutes else drawn.below(50)
        earlier = index - max(1, int(back))
        while earlier >= self.first and self._fate(earlier) < CANARIES + COPIES:
            earlier -= 1
        return earlier if earlier >= self.first else None

    def _fate(self, index: int) -> float:
        return Chance(self.seed, chance.EVENT, index).random()

    def _change(
        self, drawn: Chance, slot: _Slot, index: int, at_ms: int, taken_in: tuple[int, int]
    ) -> tuple[bytes, Facts]:
        delay_s = _delay(drawn)
        deed = self._deed(drawn, slot, index, int(at_ms / 1000 - delay_s))
        raw = payload.change(drawn, self.seed, deed, *taken_in)
        page, late = deed.page, delay_s >= LATE_FROM_S
        return raw, Facts(
            deed.type, deed.wiki.project, deed.editor.editor_class, page.title, page.theme, late
        )

    def _deed(self, drawn: Chance, slot: _Slot, index: int, timestamp: int) -> Deed:
        program, wiki, theme = _actor(drawn, slot)
        editor = (
            people.of_program(drawn, program) if program else people.human(drawn, wiki, timestamp)
        )
        kind = wikis.TYPES[wiki.family].pick(drawn)
        number = wiki.pages + index if kind == NEW else drawn.rank(wiki.pages)
        page = pages.article(self.seed, wiki, theme, number)
        if kind == wikis.CATEGORIZE:
            comment = remarks.of_category(drawn, wiki, page.title)
            page = pages.category(self.seed, wiki, theme, number % _CATEGORIES)
        else:
            comment = remarks.of_edit(drawn, wiki, program)
        if kind == EDIT:
            page = _beside(drawn, wiki, page, editor)
        deed = Deed(index, wiki, kind, page, editor, comment, timestamp)
        attacks = kind in EDIT_TYPES and drawn.random() < HOSTILE
        return _hostile(drawn, deed) if attacks else deed

    def _arrival(self, slot: _Slot, index: int, jitter: float) -> int:
        """Milliseconds since 1970; it never goes back as the index grows."""
        part = (index % _SLOT + jitter) / _SLOT * (_CROWDED if slot.burst else 1)
        return max(self.rhythm.start_ms, int(slot.begin_ms + part * slot.span_ms))

    def _slot_of(self, index: int) -> _Slot:
        slot = self._slot
        if slot.number != index // _SLOT:
            slot = self._slot = self._make_slot(index // _SLOT)
        return slot

    def _make_slot(self, number: int) -> _Slot:
        since = number * _SLOT - self.first
        begin, end = self.rhythm.time(since), self.rhythm.time(since + _SLOT)
        drawn = Chance(self.seed, chance.SLOT, number)
        burst = _program(drawn) if drawn.random() < _BURSTS else None
        return _Slot(number, begin, end - begin, self.rhythm.bots(begin), burst)


def _actor(drawn: Chance, slot: _Slot) -> _Actor:
    if slot.burst and drawn.random() < _OF_BURST:
        return slot.burst
    if drawn.random() < (slot.bots - _IN_BURSTS) / (1 - _IN_BURSTS):
        return _program(drawn)
    return None, wikis.FOR_HUMANS.pick(drawn), people.HUMAN_THEMES.pick(drawn)


def _program(drawn: Chance) -> _Actor:
    program, wiki = people.PROGRAMS.pick(drawn), wikis.FOR_BOTS.pick(drawn)
    return program, wiki, people.BOT_THEMES.pick(drawn)


def _delay(drawn: Chance) -> float:
    """Seconds between an event and its arrival."""
    kind = drawn.random()
    if kind < LATE:
        spread: float = (LATE_TO_S / LATE_FROM_S) ** drawn.random()
        return LATE_FROM_S * spread
    return drawn.random() * (20 if kind < _SLOW else 1.5)


def _beside(drawn: Chance, wiki: Wiki, about: Page, editor: Editor) -> Page:
    """Now and then an edit is not of the article but of a page beside it."""
    kind = drawn.random() * (2 if editor.program else 1)
    if kind < 0.09 and about.namespace == 0:
        return pages.talk(wiki, about)
    if kind < 0.17:
        return pages.of_editor(wiki, editor.name, is_talk=kind < 0.14)
    return pages.of_project(wiki, f"Requests/{1 + drawn.below(80)}") if kind < 0.21 else about


def _hostile(drawn: Chance, deed: Deed) -> Deed:
    """The deed with a title, a comment or a name that attacks."""
    attack = vocabulary.hostile()
    if deed.type == EDIT and drawn.random() < 0.5:
        return deed._replace(page=Page(drawn.choice(attack.titles), 0, pages.NO_THEME))
    editor = deed.editor
    if editor.editor_class == classes.USER and drawn.random() < 0.3:
        editor = editor._replace(name=drawn.choice(attack.users))
    return deed._replace(comment=drawn.choice(attack.comments), editor=editor)
