"""Who edits: programs with a bot flag, programs without, people, and people named like programs.

Each account carries the editor class that it must be given, known from how it was made and not from
looking at its name, so that a classification can be checked. Bots and people like different themes.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from services.collector.simulator import vocabulary
from services.collector.simulator.chance import Chance, Mix
from services.collector.simulator.wikis import Wiki
from services.shared.domain import classes

BOT_THEMES: Final = Mix({
    "geography": 32, "biology": 28, "sports": 7, "film": 7, "music": 6,
    "technology": 5, "politics": 4, "religion": 4, "medicine": 4, "food": 3,
})  # fmt: skip
HUMAN_THEMES: Final = Mix({
    "sports": 17, "film": 14, "music": 13, "politics": 14, "religion": 9,
    "geography": 9, "technology": 8, "biology": 5, "medicine": 6, "food": 5,
})  # fmt: skip

_ACCOUNTS: Final = 4_000
_FLAG_FORGOTTEN: Final = 0.03
_FLOOD_FLAG: Final = 0.002
_REDACTED: Final = 0.003


class Editor(NamedTuple):
    """Who made a change.

    `bot` is the change's flag, `program` says what the editor really is. The name of a `redacted`
    one is in no payload.
    """

    name: str
    bot: bool
    program: bool
    editor_class: str
    redacted: bool = False


class Program(NamedTuple):
    """A program's account: `flagged` if it has the bot right, `named` if its name says bot."""

    name: str
    flagged: bool
    named: bool
    comment: str


_STRUCTURED: Final = (
    "/* wbeditentity-update:0| */ automatically adding "
    "[[Commons:Structured data|structured data]] based on file information"
)
PROGRAMS: Final = Mix({
    Program("InterlinkBot", True, True, _STRUCTURED): 20,
    Program("Faxineiro-bot", True, True, "bot: http → https, see [[User:Faxineiro-bot/tasks]]"): 14,
    Program("CiteFixer bot 2", True, True, "Bot: repairing CS1 dates #CiteFix"): 10,
    Program("StubSowerBot", True, True, "Robot: new article from a database"): 9,
    Program("Xqbote-Bot!", True, True, "Bot: fixing double redirect"): 8,
    Program("DoubleRedirectBOT", True, True, "Bot: [[Special:DoubleRedirects]]"): 6,
    Program("KatalogBot", True, True, "/* wbsetlabel-add:1|mul */ [[Property:P373]]: label"): 6,
    Program("GHA-Importer", True, False, "/* wbsetclaim-create:2||1 */ [[Property:P31]]: [[Q5]], batch 12"): 6,
    Program("Redirectificator", True, False, "AWB: clean up using [[Project:AWB|AWB]]"): 4,
    Program("TidyUpBot", False, True, "clean up, no flag yet"): 7,
    Program("wikibot-trial", False, True, "trial edits, see [[User:wikibot-trial]]"): 4,
    Program("Lintbot", False, True, ""): 3,
})  # fmt: skip
_NAMESAKES: Final = ("Abbot", "Talbot", "John Abbot", "Mary Talbot 77", "Le Rabot")


def of_program(chance: Chance, program: Program) -> Editor:
    """A change by a program, which now and then forgets to set its flag."""
    if program.flagged and chance.random() >= _FLAG_FORGOTTEN:
        return Editor(program.name, True, True, classes.GROUP_BOT)
    unflagged = classes.NAME_BOT if program.named else classes.USER
    return Editor(program.name, False, True, unflagged)


def human(chance: Chance, wiki: Wiki, timestamp: int) -> Editor:
    """A change by a person: with an account, a temporary one, or from an address."""
    flag = chance.random() < _FLOOD_FLAG
    kind = chance.random()
    if kind < 0.24:
        name = _without_account(chance, kind, timestamp)
        return Editor(name, flag, False, classes.ANONYMOUS)
    if kind < 0.252:
        named = Editor(chance.choice(_NAMESAKES), flag, False, classes.NAME_BOT)
        return named._replace(editor_class=classes.GROUP_BOT) if flag else named
    name = _account(wiki.language, chance.rank(_ACCOUNTS))
    editor_class = classes.GROUP_BOT if flag else classes.USER
    return Editor(name, flag, False, editor_class, chance.random() < _REDACTED)


def _without_account(chance: Chance, kind: float, timestamp: int) -> str:
    """Addresses are of the ranges kept for benchmarks and documentation: nobody's."""
    if kind < 0.05:
        return f"198.{18 + chance.below(2)}.{chance.below(256)}.{1 + chance.below(254)}"
    if kind < 0.09:
        high, low = chance.below(1 << 16), chance.below(1 << 16)
        return f"2001:DB8:{high:X}:{low:X}:0:0:0:{1 + chance.below(99):X}"
    year = datetime.fromtimestamp(timestamp, UTC).year
    return f"~{year}-{1_500 + chance.below(64_000):05d}-{chance.below(100):02d}"


@lru_cache(maxsize=16_384)
def _account(language: str, number: int) -> str:
    names = vocabulary.languages()[language]
    given, family = names.given, names.family
    first, last = given[number % len(given)], family[number // len(given) % len(family)]
    match number % 4:
        case 0:
            return f"{first} {last}" if number < len(given) * len(family) else f"{first} {number}"
        case 1:
            return f"{first}{last}{number % 97}"
        case 2:
            return f"{last}.{first}.{number}"
        case _:
            return f"{last} {number}"
