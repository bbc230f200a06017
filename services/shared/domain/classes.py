"""Who edited, and where: the editor and page classes of the Wikimedia Analytics API (AQS).

The first match decides, in AQS's order: anonymous, group-bot, name-bot, user. The bot flag belongs
to the change, the name to the account: the two definitions disagree, so both are kept.
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

ANONYMOUS: Final = "anonymous"
GROUP_BOT: Final = "group-bot"
NAME_BOT: Final = "name-bot"
USER: Final = "user"
EDITOR_CLASSES: Final = (ANONYMOUS, GROUP_BOT, NAME_BOT, USER)
BOTS: Final = (GROUP_BOT, NAME_BOT)
HUMANS: Final = (ANONYMOUS, USER)

CONTENT: Final = "content"
NON_CONTENT: Final = "non-content"
PAGE_CLASSES: Final = (CONTENT, NON_CONTENT)

TEMPORARY_ACCOUNT: Final = "~2"

# Wikimedia's own expression (analytics-refinery, UserEventBuilder): "Abbot" is a false positive
# by construction, and is kept so that the class means what AQS means by it.
_BOT_NAME = re.compile(r"^.*bot([^a-z].*$|$)", re.IGNORECASE)


def is_address(user: str) -> bool:
    """True for an IPv4 or IPv6 address, the name of an editor without an account."""
    if (
        not user
        or ("." not in user and ":" not in user)
        or user[0] not in "0123456789abcdefABCDEF:"
    ):
        return False
    try:
        ip_address(user)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=16_384)
def is_bot_name(user: str) -> bool:
    return _BOT_NAME.match(user) is not None


def editor_class(user: str, *, bot: bool) -> str:
    """The class of the editor of one change. A redacted user is the empty string."""
    if user.startswith(TEMPORARY_ACCOUNT) or is_address(user):
        return ANONYMOUS
    if bot:
        return GROUP_BOT
    return NAME_BOT if is_bot_name(user) else USER


def page_class(namespace: int) -> str:
    return CONTENT if namespace == 0 else NON_CONTENT
