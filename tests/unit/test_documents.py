"""The words of a page, by what the view of pages knows of it."""

import pytest

from services.shared import text
from services.shared.documents import page_words


@pytest.mark.parametrize(
    ("title", "namespace"),
    [("2001: A Space Odyssey", 0), ("Talk:Rio (cidade)", 1), ("File:Cais do Porto.jpg", 6)],
)
def test_a_page_has_the_words_that_its_edits_have(title: str, namespace: int) -> None:
    page_class = "non-content" if namespace else "content"
    words = page_words("pt.wikipedia", title, page_class)
    assert words == text.words(title, "pt", namespace)
    assert words


def test_an_extension_is_no_word_in_any_other_namespace() -> None:
    words = page_words("en.wikipedia", "User:Ana/monobook.js", "non-content")
    assert [word.form for word in words] == ["Ana", "monobook"]
