"""Editor and page classes as the Wikimedia Analytics API has them: the first that fits."""

import pytest

from services.shared.domain.classes import editor_class, is_address, is_bot_name, page_class


@pytest.mark.parametrize(
    ("user", "bot", "expected"),
    [
        ("10.0.0.1", True, "anonymous"),
        ("2001:db8::1", False, "anonymous"),
        ("~2026-123-4", True, "anonymous"),
        ("~2026Bot", False, "anonymous"),
        ("CleanupBot", True, "group-bot"),
        ("Ana", True, "group-bot"),
        ("CleanupBot", False, "name-bot"),
        ("Ana", False, "user"),
        ("~1", False, "user"),
        ("", False, "user"),
        ("", True, "group-bot"),
    ],
)
def test_the_first_class_that_fits_is_the_editors(user: str, bot: bool, expected: str) -> None:
    assert editor_class(user, bot=bot) == expected


@pytest.mark.parametrize(
    "name", ["bot", "MyBOT", "Bot-7", "robot 2", "Abbot", "xbot_test", "BotA1"]
)
def test_names_that_say_bot(name: str) -> None:
    assert is_bot_name(name) == (name != "BotA1")


@pytest.mark.parametrize("name", ["Botany", "Ana", "", "bots", "bo t"])
def test_names_that_do_not(name: str) -> None:
    assert not is_bot_name(name)


@pytest.mark.parametrize("user", ["1.2.3", "256.1.1.1", "a:b", "dead.beef", "Ana: 1", "1.2.3.4/8"])
def test_what_only_looks_like_an_address(user: str) -> None:
    assert not is_address(user)


def test_the_main_namespace_alone_is_content() -> None:
    assert [page_class(n) for n in (-1, 0, 1, 14)] == [
        "non-content", "content", "non-content", "non-content",
    ]  # fmt: skip
