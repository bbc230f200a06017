"""The simulated wikis, in about the proportions of the real stream.

Half of all changes are Wikidata's and Commons', where programs do most of the work; the wikis in
Vietnamese and Arabic are known for theirs. Bots and humans have each their own mix of wikis.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from services.collector.simulator.chance import Mix
from services.shared.domain.change import EDIT, NEW

LOG: Final = "log"
CATEGORIZE: Final = "categorize"
EXTERNAL: Final = "external"

WIKIDATA: Final = "wikidata"
COMMONS: Final = "commons"
WIKIPEDIA: Final = "wikipedia"
WIKTIONARY: Final = "wiktionary"

TYPES: Final = {
    WIKIDATA: Mix({EDIT: 93, NEW: 4, LOG: 3}),
    COMMONS: Mix({EDIT: 52, NEW: 6, CATEGORIZE: 36, LOG: 6}),
    WIKIPEDIA: Mix({EDIT: 64, NEW: 4.5, CATEGORIZE: 23, LOG: 8.2, EXTERNAL: 0.3}),
    WIKTIONARY: Mix({EDIT: 55, NEW: 14, CATEGORIZE: 28, LOG: 3}),
}


@dataclass(frozen=True, eq=False)
class Wiki:
    """A wiki of the stream.

    `share` is its part of all changes in percent and `bots` the part of bots in it. `pages` is
    how many pages each theme has. `patrols` tells whether its changes say `patrolled`.
    `meta` names its project namespace.
    """

    number: int
    name: str
    domain: str
    language: str
    family: str
    share: float
    bots: float
    pages: int
    patrols: bool
    meta: str

    @cached_property
    def project(self) -> str:
        return self.domain.removeprefix("www.").removesuffix(".org")

    @cached_property
    def server(self) -> str:
        return f"https://{self.domain}"


_ROWS: Final = {
    # wiki: (domain, language, family, share, bots, pages, patrols, project namespace)
    "wikidatawiki": ("www.wikidata.org", "en", WIKIDATA, 29, 0.62, 9000, True, "Wikidata"),
    "commonswiki": ("commons.wikimedia.org", "en", COMMONS, 25, 0.68, 3000, True, "Commons"),
    "enwiki": ("en.wikipedia.org", "en", WIKIPEDIA, 13, 0.24, 2000, False, "Wikipedia"),
    "frwiki": ("fr.wikipedia.org", "fr", WIKIPEDIA, 3.6, 0.3, 500, True, "Wikipédia"),
    "dewiki": ("de.wikipedia.org", "de", WIKIPEDIA, 3.2, 0.15, 500, False, "Wikipedia"),
    "ptwiki": ("pt.wikipedia.org", "pt", WIKIPEDIA, 3, 0.36, 600, True, "Wikipédia"),
    "eswiki": ("es.wikipedia.org", "es", WIKIPEDIA, 2.6, 0.22, 400, True, "Wikipedia"),
    "ruwiki": ("ru.wikipedia.org", "ru", WIKIPEDIA, 2.5, 0.24, 300, True, "Википедия"),
    "itwiki": ("it.wikipedia.org", "it", WIKIPEDIA, 2.3, 0.36, 300, True, "Wikipedia"),
    "zhwiki": ("zh.wikipedia.org", "zh", WIKIPEDIA, 2, 0.35, 300, True, "Wikipedia"),
    "viwiki": ("vi.wikipedia.org", "vi", WIKIPEDIA, 1.8, 0.9, 300, True, "Wikipedia"),
    "jawiki": ("ja.wikipedia.org", "ja", WIKIPEDIA, 1.6, 0.1, 300, False, "Wikipedia"),
    "arwiki": ("ar.wikipedia.org", "ar", WIKIPEDIA, 1.5, 0.65, 300, True, "ويكيبيديا"),
    "simplewiki": ("simple.wikipedia.org", "en", WIKIPEDIA, 0.8, 0.2, 200, True, "Wikipedia"),
    "enwiktionary": ("en.wiktionary.org", "en", WIKTIONARY, 1.6, 0.6, 60, True, "Wiktionary"),
    "frwiktionary": ("fr.wiktionary.org", "fr", WIKTIONARY, 1.4, 0.55, 8, True, "Wiktionnaire"),
    "ptwiktionary": ("pt.wiktionary.org", "pt", WIKTIONARY, 0.8, 0.7, 60, True, "Wikcionário"),
}
WIKIS: Final = tuple(Wiki(number, name, *row) for number, (name, row) in enumerate(_ROWS.items()))

FOR_BOTS: Final = Mix({wiki: wiki.share * wiki.bots for wiki in WIKIS})
FOR_HUMANS: Final = Mix({wiki: wiki.share * (1 - wiki.bots) for wiki in WIKIS})

BOT_SHARE: Final = sum(wiki.share * wiki.bots for wiki in WIKIS) / sum(w.share for w in WIKIS)
"""The part of bots in all changes, over a day."""
