"""What editors say about their changes, as they wrote it and as the wiki shows it."""

import html
import re
from functools import lru_cache
from typing import Final

from services.collector.simulator import pages, vocabulary
from services.collector.simulator.chance import Chance
from services.collector.simulator.people import Program
from services.collector.simulator.wikis import WIKIDATA, Wiki

HASHTAGS: Final = (
    "#WPWP",
    "#1Lib1Ref",
    "#AfLIA",
    "#WikiForHumanRights",
    "#ArtAndFeminism2026",
    "#suggestededit-add-desc 1.0",
    "#quickstatements; #temporary_batch_1746258368",
)
_ITEM_REMARKS: Final = (
    "/* wbsetclaim-create:2||1 */ [[Property:P31]]: [[Q5]], [[Property:P106]]: [[Q82955]]",
    "/* wbsetlabel-set:1|en */ Cho Se-rae",
    "/* wbsetsitelink-add:1|ptwiki */",
    "/* wbremoveclaims-remove:1| */ [[Property:P1448]]: [[Q2390458]]",
)
_HASHTAG_SHARE: Final = 0.04
_LINK: Final = re.compile(r"\[\[:?([^\[\]|]+)(?:\|([^\[\]]*))?\]\]")
_SECTION: Final = re.compile(r"/\* (.*?) \*/")


def of_edit(chance: Chance, wiki: Wiki, program: Program | None) -> str:
    if program is not None:
        return program.comment
    language = vocabulary.languages()[wiki.language]
    said = chance.random()
    text = chance.choice(_ITEM_REMARKS if wiki.family == WIKIDATA else language.remarks)
    if said < 0.2:
        text = ""
    elif said < 0.5 and wiki.family != WIKIDATA:
        text = f"/* {chance.choice(language.sections)} */ {text}"
    if chance.random() < _HASHTAG_SHARE:
        text = f"{text} {chance.choice(HASHTAGS)}".lstrip()
    return text


def of_category(chance: Chance, wiki: Wiki, member: str) -> str:
    language = vocabulary.languages()[wiki.language]
    pattern = language.added if chance.random() < 0.75 else language.removed
    return pattern.replace("{page}", member)


@lru_cache(maxsize=4096)
def parsed(comment: str) -> str:
    """The comment as HTML, the way MediaWiki parses it: links and sections, the rest escaped."""
    if not comment:
        return ""
    text = _LINK.sub(_anchor, html.escape(comment))
    return _SECTION.sub(r'<span dir="auto"><span class="autocomment">→\1: </span></span>', text)


def _anchor(link: re.Match[str]) -> str:
    target, shown = html.unescape(link[1]), link[2] or link[1]
    return f'<a href="/wiki/{pages.path(target)}" title="{link[1]}">{shown}</a>'
