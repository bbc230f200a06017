import pytest

from services.shared.domain.query import Between, OneOf, Query
from services.shared.domain.views import PAGES


@pytest.mark.parametrize(
    ("group", "where"),
    [
        (("stem",), ()),
        ((), (OneOf("minute", (1,)),)),
        (("title",), (Between("edits", 0, 1),)),
        (("title; DROP TABLE pages",), ()),
    ],
)
def test_a_query_names_keys_of_its_view_alone(
    group: tuple[str, ...], where: tuple[OneOf | Between, ...]
) -> None:
    with pytest.raises(ValueError, match="view pages has no column"):
        Query(PAGES, group, where)
