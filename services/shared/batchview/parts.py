"""What generations are made of, on MongoDB: segments, page maps and topic models, each under a number.

A number is given once and never again, so rows that belong to one are of one staging: staging an id once more
makes a new part, and the one with the highest number counts. What is half staged nobody finds. Rows
carry the number; a part's own document says that it is whole, and goes after its rows.

All maps of a model share one collection, a document for each page: what a map holds are the pages of its
*chain*, itself and whatever it extends, kept as a few ranges of numbers.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from services.shared.batchview.driver import BATCH, Document, Server
from services.shared.batchview.pointer import Listed, Pointer
from services.shared.batchview.port import Gone
from services.shared.domain.generation import Generation
from services.shared.domain.topics import Page, PageMap
from services.shared.domain.views import VIEWS
from services.shared.runtime import crash

SEGMENTS: Final = "segments"
MAPS: Final = "page_maps"
MODELS: Final = "topic_models"
REGISTERS: Final = "registers"
PAGE_TOPICS: Final = "page_topics"
MODEL_BYTES: Final = "topic_model_bytes"

Chain = tuple[tuple[int, int], ...]
"""Ranges of numbers of page maps, first and last."""

_NUMBERS: Final = "numbers"
_ROWS: Final = {
    SEGMENTS: ("segment", (*(view.name for view in VIEWS), REGISTERS)),
    MAPS: ("page_map", (PAGE_TOPICS,)),
    MODELS: ("topic_model", (MODEL_BYTES,)),
}
"""Kind -> the column with its number, and the collections that have it."""
_CHUNK: Final = 4 << 20
_TITLES: Final = 2_000


# Coming


async def start(server: Server, kind: str, name: str, now: int, **fields: Any) -> int:
    """The number of a new part, of which there is nothing yet."""
    while True:
        number = await _next(server, kind)
        part = {"_id": number, "id": name, "staged": False, "staged_at": now, **fields}
        if await server.create(kind, part):
            return number


async def finish(server: Server, kind: str, number: int, **fields: Any) -> None:
    """The part is whole: from now on it can be published."""
    change = {"$set": {"staged": True, **fields}}
    if not await server.update(kind, {"_id": number}, change):
        raise ValueError(f"{kind}: number {number} has been removed while it was staged")


async def _next(server: Server, kind: str) -> int:
    # The reply to an update says whether it was this one that counted; a lost one costs a number.
    await server.create(_NUMBERS, {"_id": kind, "last": 0})
    while True:
        found = await server.one(_NUMBERS, {"_id": kind})
        last = int(found["last"]) if found else 0
        where = {"_id": kind, "last": last}
        if await server.update(_NUMBERS, where, {"$set": {"last": last + 1}}):
            return last + 1


# Asking


async def numbers(server: Server, kind: str, names: Sequence[str], at: Pointer) -> dict[str, int]:
    """The numbers of those of the parts that are whole and stay, in the order of the names.

    What a generation lists is that very part, whatever has been staged under its id since.
    """
    known = _listed(kind, at)
    where = {
        "id": {"$in": [name for name in names if name not in known]},
        "staged": True,
        "_id": {"$nin": sorted(at.removing.get(kind, ()))},
    }
    # Of several under one id the last is the one.
    async for batch in server.find(kind, where, "id", sort=[("_id", 1)]):
        known |= {part["id"]: int(part["_id"]) for part in batch}
    return {name: known[name] for name in names if name in known}


def _listed(kind: str, at: Pointer) -> dict[str, int]:
    known: dict[str, int] = {}
    for listed in at.listed:
        generation = listed.generation
        ids = [segment.id for segment in generation.segments]
        of = {
            SEGMENTS: zip(ids, listed.segments, strict=True),
            MAPS: [(generation.topic_map, listed.page_map)],
            MODELS: [(generation.topic_model, listed.topic_model)],
        }
        known |= {name: number for name, number in of[kind] if name}
    return known


async def segments(server: Server, ids: Sequence[str], at: Pointer) -> dict[str, int]:
    """The numbers of segments by id, in that order; a ValueError if one is not there, whole."""
    found = await numbers(server, SEGMENTS, ids, at)
    if missing := [name for name in ids if name not in found]:
        raise ValueError(f"segments not staged: {', '.join(missing)}")
    return found


async def described(server: Server, kind: str, which: Iterable[int]) -> dict[int, Document]:
    """The documents of parts, by number."""
    found: dict[int, Document] = {}
    async for batch in server.find(kind, {"_id": {"$in": list(which)}}):
        found |= {int(part["_id"]): part for part in batch}
    return found


# Page maps


def chain_of(part: Document | None) -> Chain:
    return tuple((int(low), int(high)) for low, high in part["chain"]) if part else ()


async def chain(server: Server, listed: Listed) -> Chain:
    """That of a generation's page map."""
    return chain_of(await server.one(MAPS, {"_id": listed.page_map}))


def extended(chain: Chain, number: int) -> Chain:
    """The chain of a new map that extends the last one of this chain."""
    if chain and chain[-1][1] == number - 1:
        return (*chain[:-1], (chain[-1][0], number))
    return (*chain, (number, number))


def _among(chain: Chain) -> list[Document]:
    return [{"_id": {"$gte": low, "$lte": high}} for low, high in chain]


async def topics(server: Server, chain: Chain, pages: Collection[Page]) -> dict[Page, int]:
    """The topics of those of the pages that the maps of a chain have."""
    titles: dict[str, list[str]] = defaultdict(list)
    for project, title in pages if chain else ():
        titles[project].append(title)
    found: dict[Page, int] = {}
    for project, wanted in titles.items():
        for at in range(0, len(wanted), _TITLES):
            where = {"project": project, "title": {"$in": wanted[at : at + _TITLES]}}
            async for batch in server.find(PAGE_TOPICS, where, "title", "page_map", "topic"):
                found |= {
                    Page(project, row["title"]): int(row["topic"])
                    for row in batch
                    if any(low <= row["page_map"] <= high for low, high in chain)
                }
    return found


async def stage_map(
    server: Server, page_map: PageMap, pages: Mapping[Page, int], at: Pointer, now: int
) -> int:
    """Store a map; how many pages it has with those of the maps that it extends."""
    if page_map.id in {listed.generation.topic_map for listed in at.listed}:
        raise ValueError(f"page map {page_map.id} is part of a generation and cannot change")
    base = await _base(server, page_map, at)
    known = await topics(server, chain_of(base), pages)
    number = await start(server, MAPS, page_map.id, now, model=page_map.model, chain=[])
    new = [
        {"page_map": number, "project": project, "title": title, "topic": topic}
        for (project, title), topic in pages.items()
        if (project, title) not in known
    ]
    await server.insert(PAGE_TOPICS, new)
    crash.point("batchview.mapping")
    total = (int(base["pages"]) if base else 0) + len(new)
    chain = [list(part) for part in extended(chain_of(base), number)]
    await finish(server, MAPS, number, pages=total, chain=chain)
    return total


async def _base(server: Server, page_map: PageMap, at: Pointer) -> Document | None:
    if not page_map.after:
        return None
    number = (await numbers(server, MAPS, [page_map.after], at)).get(page_map.after)
    found = await server.one(MAPS, {"_id": number, "model": page_map.model})
    if found is None:
        raise ValueError(f"page map not staged, or of another model: {page_map.after}")
    return found


async def checked(server: Server, generation: Generation, at: Pointer) -> tuple[int, int]:
    """The numbers of the map and the model that a generation names; ValueError unless both are
    staged, and every map that the map extends is there.
    """
    if not generation.topic_model:
        return 0, 0
    maps = await numbers(server, MAPS, [generation.topic_map], at)
    models = await numbers(server, MODELS, [generation.topic_model], at)
    number = maps.get(generation.topic_map)
    where = {"_id": number, "model": generation.topic_model}
    chain = chain_of(await server.one(MAPS, where))
    removing = at.removing.get(MAPS, frozenset())
    going = any(low <= n <= high for n in removing for low, high in chain)
    held = sum(high - low + 1 for low, high in chain)
    if (
        not (chain and models)
        or going
        or await server.count(MAPS, {"$or": _among(chain), "staged": True}) != held
    ):
        raise ValueError(
            f"topics not staged: model {generation.topic_model}, map {generation.topic_map}"
        )
    return maps[generation.topic_map], models[generation.topic_model]


# Models


async def stage_model(server: Server, name: str, body: bytes, at: Pointer, now: int) -> None:
    """An id is that of the content: what is there is the same, and is only kept for longer."""
    found = await numbers(server, MODELS, [name], at)
    if name in found and await server.update(
        MODELS, {"_id": found[name]}, {"$set": {"staged_at": now}}
    ):
        return
    number = await start(server, MODELS, name, now)
    for place in range(0, len(body), _CHUNK):
        chunk = {"topic_model": number, "place": place, "body": body[place : place + _CHUNK]}
        await server.insert(MODEL_BYTES, [chunk])
    await finish(server, MODELS, number, size=len(body))


async def model(server: Server, name: str, at: Pointer) -> bytes:
    """The bytes of a model. Raises `Gone`."""
    number = (await numbers(server, MODELS, [name], at)).get(name)
    part = await server.one(MODELS, {"_id": number})
    chunks: list[bytes] = []
    where = {"topic_model": number}
    async for batch in server.find(MODEL_BYTES, where, "body", sort=[("place", 1)]):
        chunks += [bytes(chunk["body"]) for chunk in batch]
    body = b"".join(chunks)
    if part is None or len(body) != part["size"]:
        raise Gone(f"topic model {name} is no longer kept")
    return body


# Going


async def doomed(server: Server, kept: Pointer, before: int) -> dict[str, frozenset[int]]:
    """What was staged before a time (ms) and is in no kept generation, nor in what has been staged since."""
    old = {"staged_at": {"$lt": before}}
    listed = {number for entry in kept.listed for number in entry.segments}
    maps = await described(server, MAPS, {entry.page_map for entry in kept.listed})
    models = {entry.generation.topic_model for entry in kept.listed}
    async for batch in server.find(MAPS, {"staged_at": {"$gte": before}}):
        maps |= {int(part["_id"]): part for part in batch}
        models |= {str(part["model"]) for part in batch}
    needed = [condition for part in maps.values() for condition in _among(chain_of(part))]
    return {
        SEGMENTS: await _ids(server, SEGMENTS, {"$and": [old, {"_id": {"$nin": sorted(listed)}}]}),
        MAPS: await _ids(server, MAPS, {"$and": [old, *({"$nor": [c]} for c in needed)]}),
        MODELS: await _ids(server, MODELS, {"$and": [old, {"id": {"$nin": sorted(models)}}]}),
    }


async def _ids(server: Server, kind: str, where: Document) -> frozenset[int]:
    return frozenset([int(p["_id"]) async for b in server.find(kind, where, "_id") for p in b])


async def remove(server: Server, removing: Mapping[str, Collection[int]]) -> None:
    """Remove parts that no generation lists, nor ever will: their rows first."""
    for kind, which in removing.items():
        column, collections = _ROWS[kind]
        for number in sorted(which):
            for collection in collections:
                await _clear(server, collection, {column: number})
            await server.delete(kind, {"_id": number})


async def _clear(server: Server, collection: str, where: Document) -> None:
    """Some at a time, so that no request takes long."""
    while True:
        found = server.find(collection, where, "_id", limit=BATCH)
        ids = [row["_id"] async for batch in found for row in batch]
        if not ids:
            return
        await server.delete(collection, {"_id": {"$in": ids}})
        crash.point("batchview.copying")
