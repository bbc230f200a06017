"""The shapes of the Wikimedia Analytics API, exactly. What an answer stands on is in its headers."""

from typing import Literal

import msgspec


class Edits(msgspec.Struct, frozen=True):
    timestamp: str
    edits: int


class NetBytes(msgspec.Struct, frozen=True):
    timestamp: str
    net_bytes_diff: int


class AbsoluteBytes(msgspec.Struct, frozen=True):
    timestamp: str
    abs_bytes_diff: int


class EditedPages(msgspec.Struct, frozen=True):
    timestamp: str
    edited_pages: int


class Editors(msgspec.Struct, frozen=True):
    timestamp: str
    editors: int


class PageEdits(msgspec.Struct, frozen=True):
    page_title: str
    edits: int
    rank: int


class EditorEdits(msgspec.Struct, frozen=True):
    """`user_text` is null for an editor without an account, as in AQS."""

    user_text: str | None
    edits: int
    rank: int


class TopPages(msgspec.Struct, frozen=True):
    timestamp: str
    top: list[PageEdits]


class TopEditors(msgspec.Struct, frozen=True):
    timestamp: str
    top: list[EditorEdits]


class _Item(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", omit_defaults=True):
    """An item's head: hyphens in names, as AQS writes them."""

    project: str
    editor_type: str
    page_type: str
    granularity: str


class EditsItem(_Item, frozen=True, kw_only=True):
    results: list[Edits]


class NetBytesItem(_Item, frozen=True, kw_only=True):
    results: list[NetBytes]


class AbsoluteBytesItem(_Item, frozen=True, kw_only=True):
    results: list[AbsoluteBytes]


class EditedPagesItem(_Item, frozen=True, kw_only=True):
    """`distinct` is set where the count is an estimate, with its relative standard error."""

    activity_level: str
    results: list[EditedPages]
    distinct: Literal["estimate"] | None = None
    relative_error: float | None = None


class EditorsItem(_Item, frozen=True, kw_only=True):
    activity_level: str
    results: list[Editors]
    distinct: Literal["estimate"] | None = None
    relative_error: float | None = None


class TopPagesItem(_Item, frozen=True, kw_only=True):
    results: list[TopPages]


class TopEditorsItem(_Item, frozen=True, kw_only=True):
    results: list[TopEditors]


class EditsAnswer(msgspec.Struct, frozen=True):
    items: list[EditsItem]


class NetBytesAnswer(msgspec.Struct, frozen=True):
    items: list[NetBytesItem]


class AbsoluteBytesAnswer(msgspec.Struct, frozen=True):
    items: list[AbsoluteBytesItem]


class EditedPagesAnswer(msgspec.Struct, frozen=True):
    items: list[EditedPagesItem]


class EditorsAnswer(msgspec.Struct, frozen=True):
    items: list[EditorsItem]


class TopPagesAnswer(msgspec.Struct, frozen=True):
    items: list[TopPagesItem]


class TopEditorsAnswer(msgspec.Struct, frozen=True):
    items: list[TopEditorsItem]
