"""Elasticsearch itself: its indices, and the one document that says what the view vouches for.

The documents of a view are in one index, made by `begin` and named with a number that grows. The state names
that index and its UUID, which no other index ever has, so a view whose index was deleted, or replaced by
another of the same name, is lost and not empty. The state changes by compare-and-set only, on the sequence
number of what was read.

Nothing here makes an index on the side: the templates forbid it for every name that is ours.
"""

import contextlib
import io
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import msgspec
from elastic_transport import AiohttpHttpNode, HttpHeaders
from elastic_transport.client_utils import DEFAULT, DefaultType
from elasticsearch import (
    ApiError,
    AsyncElasticsearch,
    ConflictError,
    JsonSerializer,
    NotFoundError,
    TransportError,
)

from services.shared.domain.positions import Vector, reaches, upper
from services.shared.runtime.unavailable import Unavailable
from services.shared.speedview import fields
from services.shared.speedview.port import Visible

_PREFIX: Final = "bvw"
_PORT: Final = 9200
_PRIORITY: Final = 500
"""Above the templates that a cluster has for everything."""
_TIMEOUT: Final = 30.0
_LARGE: Final = 1 << 18
_KEEP_ALIVE: Final = "1m"
_ONLY: Final = "state"
_LOST: Final = "the index of the speed view is not there"
_TOLD: Final = (400, 404, 409)
"""Answers that a caller knows what to do with, or that are a defect of ours."""


class _Node(AiohttpHttpNode):
    """Sends a large body piece by piece, between which others get their turn on the event loop."""

    async def perform_request(  # type: ignore[override] # as its parent's own
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> Any:
        sent: Any = io.BytesIO(body) if body and len(body) > _LARGE else body
        return await super().perform_request(method, target, sent, headers, request_timeout)

    def _log_request(self, **_: Any) -> None:  # type: ignore[override] # of none of it
        """Whole bodies are nothing for a log."""


class _Json(JsonSerializer):
    """Reads answers several times faster than its parent, which matters on the event loop."""

    def json_dumps(self, data: Any) -> bytes:
        return msgspec.json.encode(data)

    def json_loads(self, data: bytes) -> Any:
        return msgspec.json.decode(data)


class Lost(Unavailable):
    """The index is not there: the view has been begun anew, or somebody has removed it."""


class State(msgspec.Struct, frozen=True):
    """What is stored of `Visible`, and where its documents are."""

    index: str
    uuid: str
    log: str
    positions: Vector
    times: Vector
    floor: Vector
    rebuilding_until: Vector | None
    text_version: int

    def visible(self) -> Visible:
        return Visible(
            self.log, self.positions, self.times, self.floor, self.rebuilding_until,
            self.text_version,
        )  # fmt: skip

    def moved(self, until: Vector, times: Vector) -> "State":
        positions, target = upper(self.positions, until), self.rebuilding_until
        return msgspec.structs.replace(
            self,
            positions=positions,
            times=upper(self.times, times),
            rebuilding_until=None if target is None or reaches(positions, target) else target,
        )

    def risen(self, floor: Vector) -> "State":
        return msgspec.structs.replace(self, floor=upper(self.floor, floor))


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and what to compare it with when it is set."""

    state: State
    seq_no: int
    primary_term: int


class Cluster:
    """The view's indices on a server. Raises `Unavailable` where the server can't serve now."""

    def __init__(self, client: AsyncElasticsearch, name: str, prefix: str) -> None:
        self.client = client
        self.name = name
        self._states = f"{prefix}-speed-state"
        self._documents = f"{prefix}-speed-documents"

    @classmethod
    def of(cls, url: str, *, api_key: str | None, ca_file: Path | None) -> Self:
        """`http(s)://[user:password@]host:port[/prefix]`; the prefix begins the names of all indices."""
        parts = urlsplit(url)
        prefix = parts.path.strip("/") or _PREFIX
        node = f"{parts.scheme}://{parts.hostname}:{parts.port or _PORT}"
        basic = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        client = AsyncElasticsearch(
            node,
            basic_auth=basic,
            api_key=api_key,
            ca_certs=DEFAULT if ca_file is None else str(ca_file),
            node_class=_Node,
            serializer=_Json(),
            request_timeout=_TIMEOUT,
            max_retries=0,  # what may be repeated is known here, and not there
        )
        return cls(client, f"{node}/{prefix}", prefix)

    # The state

    async def standing(self) -> Standing | None:
        """None for a view that has not begun."""
        with serving():
            try:
                found = await self.client.get(index=self._states, id=_ONLY)
            except NotFoundError:
                return None
        state = msgspec.convert(found["_source"], State)
        return Standing(state, found["_seq_no"], found["_primary_term"])

    async def swap(self, old: Standing | None, new: State) -> bool:
        """Sets the state unless it has changed since `old` was read."""
        compared: dict[str, Any] = (
            {"op_type": "create"}
            if old is None
            else {"if_seq_no": old.seq_no, "if_primary_term": old.primary_term}
        )
        with serving():
            try:
                await self.client.index(
                    index=self._states, id=_ONLY, document=msgspec.to_builtins(new), **compared
                )
            except (ConflictError, NotFoundError):
                return False
        return True

    async def holds(self, state: State) -> bool:
        """Whether the index is there and the one that the state vouches for."""
        return (await self._uuids(state.index)).get(state.index) == state.uuid

    # Indices

    async def prepare(self) -> None:
        """The templates, and an index for the state, which is known by an alias."""
        kept: dict[str, Any] = {
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            "mappings": {"dynamic": False},
        }
        documents = {"settings": fields.SETTINGS, "mappings": fields.MAPPING}
        with serving():
            for name, pattern, template in (
                (self._states, f"{self._states}*", kept),
                (self._documents, f"{self._documents}*", documents),
            ):
                await self.client.indices.put_index_template(
                    name=name, index_patterns=[pattern], template=template, priority=_PRIORITY,
                    allow_auto_create=False,
                )  # fmt: skip
        if not await self._uuids(self._states):
            await self._create(f"{self._states}-1")
            with serving():
                # Not before the index is ready, so that a view is not begun or can be read.
                await self.client.cluster.health(
                    index=f"{self._states}-1", wait_for_active_shards="1", timeout="30s"
                )
                await self.client.indices.put_alias(index=f"{self._states}-1", name=self._states)

    async def new_index(self) -> tuple[str, str]:
        """Name and UUID of an empty index, with a number above all others'."""
        others = await self._uuids(f"{self._documents}-*")
        number = 1 + max(map(_number, others), default=0)
        name = f"{self._documents}-{number:08d}-{secrets.token_hex(4)}"
        await self._create(name)
        return name, (await self._uuids(name)).get(name, "")

    async def remove_before(self, name: str) -> None:
        """All indices of documents with a lower number than this one's."""
        others = await self._uuids(f"{self._documents}-*")
        await self.remove(*(other for other in others if _number(other) < _number(name)))

    async def remove(self, *names: str) -> None:
        with serving():
            for name in names:
                await self.client.indices.delete(index=name, ignore_unavailable=True)

    async def _create(self, name: str) -> None:
        with serving():
            try:
                await self.client.indices.create(index=name)
            except ApiError as error:
                if error.error != "resource_already_exists_exception":
                    raise

    async def _uuids(self, names: str) -> dict[str, str]:
        with serving():
            try:
                found = await self.client.indices.get_settings(index=names, name="index.uuid")
            except NotFoundError:
                return {}
        return {name: each["settings"]["index"]["uuid"] for name, each in found.items()}

    async def refresh(self, index: str) -> None:
        """Returns once everything acknowledged is found. Raises `Lost`."""
        with serving():
            try:
                done = await self.client.indices.refresh(index=index)
            except NotFoundError:
                raise Lost(_LOST) from None
        if done["_shards"]["failed"] or not done["_shards"]["successful"]:
            raise Unavailable(f"Elasticsearch could not refresh {index}")

    async def bytes(self, index: str) -> int:
        with serving():
            try:
                found = await self.client.indices.stats(index=index, metric=["store", "translog"])
            except NotFoundError:
                return 0
        total = found["_all"]["total"]
        return int(total["store"]["size_in_bytes"] + total["translog"]["size_in_bytes"])

    # Searches

    async def search(self, index: str | None, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A whole answer, of all shards; `index` is None where the body is for a `moment`."""
        with serving():
            try:
                found = await self.client.search(
                    index=index, body=dict(body), allow_partial_search_results=False
                )
            except NotFoundError:
                raise Lost(_LOST) from None
        if found["timed_out"] or found["_shards"]["failed"]:
            raise Unavailable("Elasticsearch answered for a part of its shards only")
        answer: Mapping[str, Any] = found.body
        if index is None:
            body["pit"]["id"] = answer["pit_id"]  # which may change from one answer to the next
        return answer

    @contextlib.asynccontextmanager
    async def moment(self, index: str) -> AsyncIterator[dict[str, Any]]:
        """The index as it is now, for several searches: what goes into their bodies."""
        with serving():
            try:
                opened = await self.client.open_point_in_time(index=index, keep_alive=_KEEP_ALIVE)
            except NotFoundError:
                raise Lost(_LOST) from None
        pit = {"id": opened["id"], "keep_alive": _KEEP_ALIVE}
        try:
            yield {"pit": pit}
        finally:
            with contextlib.suppress(ApiError, TransportError):  # it ends by itself
                await self.client.close_point_in_time(id=pit["id"])


@contextlib.contextmanager
def serving() -> Iterator[None]:
    """What the server can't do now is `Unavailable`; what it refuses for good stays the error it is."""
    try:
        yield
    except ApiError as error:
        if error.status_code in _TOLD:
            raise
        raise Unavailable(f"Elasticsearch says {error.status_code}: {error.message}") from error
    except TransportError as error:
        raise Unavailable(f"Elasticsearch does not answer: {error.message}") from error


def _number(name: str) -> int:
    return int(name.split("-")[-2])
