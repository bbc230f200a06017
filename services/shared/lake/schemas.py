"""The columns of the lake's tables, with the comments that a reader of the tables sees.

Declared once, in Arrow; the Iceberg schemas are made from these. Rows that are appended have these
columns. Every table is partitioned by `day`, the event day, so that an id is looked up, and a day is
removed, without touching another day. `partition` and `offset` are the position in the log.

Times: `timestamp` is the event's own time in seconds, `appended_at` log time in milliseconds, as
everywhere in the product; `received_at` is a real timestamp because it is only looked at.
"""

from typing import Any, Final

import pyarrow as pa

from services.shared.domain.identity import DIGEST_BYTES
from services.shared.lake.port import CLEANED, DEFINED, RAW

EXPIRED_IDS: Final = "raw.expired_ids"
"""The ids of rows that were removed: so that a late copy is refused at any age."""

DIGEST: Final = pa.binary(DIGEST_BYTES)
WORD: Final = pa.struct([pa.field("stem", pa.string()), pa.field("form", pa.string())])
_RECEIVED_AT: Final = pa.timestamp("us", "UTC")


def _column(name: str, kind: pa.DataType, comment: str) -> "pa.Field[Any]":
    """A column that every row fills."""
    return pa.field(name, kind, nullable=False, metadata={"doc": comment})


def _optional(name: str, kind: pa.DataType, comment: str) -> "pa.Field[Any]":
    """A column that is null where the event says nothing (usable)."""
    return pa.field(name, kind, nullable=True, metadata={"doc": comment})


_POSITION: Final = (
    _column("partition", pa.int32(), "Partition of the log"),
    _column("offset", pa.int64(), "Offset in the partition; offsets may have holes"),
)
_APPENDED_AT: Final = _column("appended_at", pa.int64(), "Log time of the append: ms since 1970")
_DAY: Final = _column("day", pa.int32(), "Event day: UTC day of timestamp as YYYYMMDD")
_ID: Final = _column("event_id", pa.string(), "Id of the event: event day and meta.id")
_DIGEST: Final = _column("digest", DIGEST, "BLAKE2b-128 of event_id, for finding copies")

_PAYLOAD: Final = (
    _optional("schema", pa.string(), "$schema: URI of the event's JSON schema"),
    _optional("meta_uri", pa.string(), "meta.uri: address of the page"),
    _optional("meta_request_id", pa.string(), "meta.request_id: one request may cause many events"),
    _optional("meta_id", pa.string(), "meta.id: the upstream's id of the event"),
    _optional("meta_dt", pa.string(), "meta.dt: when the upstream received the event, as sent"),
    _optional("meta_domain", pa.string(), "meta.domain: host name of the wiki"),
    _optional("meta_stream", pa.string(), "meta.stream"),
    _optional("meta_topic", pa.string(), "meta.topic: the upstream's Kafka topic"),
    _optional("meta_partition", pa.int64(), "meta.partition: of the upstream's topic"),
    _optional("meta_offset", pa.int64(), "meta.offset: in the upstream's topic"),
    _optional("id", pa.int64(), "Id of the recent change within its wiki (rcid)"),
    _optional("type", pa.string(), "edit, new, log, categorize, external, or a number as text"),
    _optional("namespace", pa.int64(), "Namespace number of the page"),
    _optional("title", pa.string(), "Full page name with its namespace"),
    _optional("title_url", pa.string(), "Address of the page"),
    _optional("comment", pa.string(), "Edit summary, as written (hostile text)"),
    _optional("parsedcomment", pa.string(), "Edit summary as HTML (hostile text)"),
    _optional("timestamp", pa.int64(), "Event time: seconds since 1970"),
    _optional("user", pa.string(), "User name or IP address; null where redacted"),
    _optional("bot", pa.bool_(), "The change carries the bot flag"),
    _optional("minor", pa.bool_(), "Marked as a minor edit"),
    _optional("patrolled", pa.bool_(), "Patrolled; null where the wiki does not patrol"),
    _optional("length_old", pa.int64(), "length.old: bytes of the page before"),
    _optional("length_new", pa.int64(), "length.new: bytes of the page after"),
    _optional("revision_old", pa.int64(), "revision.old: revision before"),
    _optional("revision_new", pa.int64(), "revision.new: revision after"),
    _optional("server_url", pa.string(), "server_url"),
    _optional("server_name", pa.string(), "server_name"),
    _optional("server_script_path", pa.string(), "server_script_path"),
    _optional("wiki", pa.string(), "Database name of the wiki, such as ptwiki"),
    _optional("notify_url", pa.string(), "Address of the difference"),
    _optional("log_id", pa.int64(), "Id of the log entry; 0 for some logs"),
    _optional("log_type", pa.string(), "Log, such as block or delete"),
    _optional("log_action", pa.string(), "Action within the log"),
    _optional("log_action_comment", pa.string(), "Log entry as text"),
    _optional("log_params", pa.string(), "log_params as JSON text: array, object or string"),
)

ARROW: Final[dict[str, pa.Schema]] = {
    RAW: pa.schema(
        [
            *_POSITION,
            _APPENDED_AT,
            _DAY,
            _ID,
            _DIGEST,
            _optional("received_at", _RECEIVED_AT, "meta.dt as a time; null if it is none"),
            *_PAYLOAD,
            _column("json", pa.binary(), "The payload as it was received, byte for byte"),
        ]
    ),
    DEFINED: pa.schema(
        [
            *_POSITION,
            _APPENDED_AT,
            _DAY,
            _ID,
            _column("timestamp", pa.int64(), "Event time: seconds since 1970"),
            _column(
                "type",
                pa.string(),
                "edit, new, log, categorize, external, or other for any that is none of these",
            ),
            _column("project", pa.string(), "Project as the Analytics API names it: pt.wikipedia"),
            _column("wiki", pa.string(), "Database name of the wiki, such as ptwiki"),
            _column("namespace", pa.int64(), "Namespace number of the page"),
            _column("page_class", pa.string(), "content or non-content"),
            _column("title", pa.string(), "Full page name with its namespace"),
            _column("user", pa.string(), "User name or IP address; empty where redacted"),
            _column("editor_class", pa.string(), "anonymous, group-bot, name-bot or user"),
            _column("bot", pa.bool_(), "The change carries the bot flag"),
            _column("bot_name", pa.bool_(), "The user name says bot"),
            _column("minor", pa.bool_(), "Marked as a minor edit"),
            _column("net_bytes", pa.int64(), "Bytes of the page after, less before; 0 if no edit"),
            _column("revision", pa.int64(), "Revision after; 0 if there is none"),
            _column("comment", pa.string(), "Edit summary, as written (hostile text)"),
        ]
    ),
    CLEANED: pa.schema(
        [
            *_POSITION,
            _DAY,
            _column("project", pa.string(), "Project as the Analytics API names it: pt.wikipedia"),
            _column("editor_class", pa.string(), "anonymous, group-bot, name-bot or user"),
            _column("title", pa.string(), "Full page name with its namespace"),
            _column("language", pa.string(), "Language that the words were stemmed in"),
            _column("words", pa.list_(WORD), "Words of the title: stem and the form shown"),
            _column("hashtags", pa.list_(pa.string()), "Hashtags of the edit summary"),
        ]
    ),
    EXPIRED_IDS: pa.schema([_DAY, _DIGEST]),
}
"""The columns of every table, by the table's name."""
