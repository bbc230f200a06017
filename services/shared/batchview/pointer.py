"""The pointer of a batch view on MongoDB: one document that says all that counts.

It lists the generations that are kept, each with the numbers of the parts (see `parts`) that it is made
of, and the parts that are being removed. It changes only by one conditional update: whoever
changes it has read it, has looked at the parts since, and succeeds only if its version is the one that
was read; otherwise everything is looked at again. So a generation can't come to list a part that a
removal has chosen, nor a removal choose a part that a generation has come to list, without any
transaction over two documents.

The reply to an update may be lost. Sending the same update again settles it: whichever of the two comes
first raises the version, and the other changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

import msgspec

from services.shared.batchview.driver import Document, Server
from services.shared.domain.generation import Generation
from services.shared.runtime.unavailable import Unavailable

POINTER: Final = "pointer"
SETTLED_WITHIN: Final = 60.0
"""Seconds that a lost reply is looked into; longer than a request may take."""
_PAUSE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Listed:
    """A kept generation. `body` is the generation as JSON; `attempt` is unique to the call that published
    it. Numbers of a page map and a model are 0 where there is none.
    """

    number: int
    attempt: str
    segments: tuple[int, ...]
    page_map: int
    topic_model: int
    body: bytes

    @classmethod
    def of(cls, found: Document) -> Self:
        return cls(
            int(found["number"]),
            str(found["attempt"]),
            tuple(map(int, found["segments"])),
            int(found["page_map"]),
            int(found["topic_model"]),
            bytes(found["body"]),
        )

    def document(self) -> Document:
        return {
            "number": self.number,
            "attempt": self.attempt,
            "segments": list(self.segments),
            "page_map": self.page_map,
            "topic_model": self.topic_model,
            "body": self.body,
        }

    @property
    def generation(self) -> Generation:
        return msgspec.json.decode(self.body, type=Generation)


@dataclass(frozen=True, slots=True)
class Pointer:
    """`listed` are the kept generations, oldest first, the last the current one; `removing` the numbers
    of parts by kind.
    """

    version: int
    listed: tuple[Listed, ...]
    removing: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Document) -> Self:
        removing = {kind: frozenset(map(int, n)) for kind, n in found["removing"].items()}
        return cls(int(found["version"]), tuple(map(Listed.of, found["generations"])), removing)

    def document(self) -> Document:
        return {
            "version": self.version,
            "generations": [listed.document() for listed in self.listed],
            "removing": {kind: sorted(numbers) for kind, numbers in self.removing.items()},
        }


async def make_sure(server: Server) -> None:
    """That there is one; it may list nothing yet."""
    await server.create(POINTER, {"_id": POINTER, **Pointer(0, ()).document()})


async def read(server: Server) -> Pointer:
    found = await server.one(POINTER, {"_id": POINTER})
    if found is None:
        raise Unavailable("MongoDB: the batch view has been removed; open it again")
    return Pointer.of(found)


async def listed(server: Server, number: int) -> Listed | None:
    """What a generation is made of; None if it is not kept."""
    fields = {"generations": {"$elemMatch": {"number": number}}}
    found = await server.one(POINTER, {"_id": POINTER, "generations.number": number}, fields)
    return None if found is None else Listed.of(found["generations"][0])


async def keeps(server: Server, number: int) -> bool:
    where = {"_id": POINTER, "generations.number": number}
    return await server.one(POINTER, where, {"_id": 1}) is not None


async def change(
    server: Server, decide: Callable[[Pointer], Awaitable[Pointer]], attempt: str = ""
) -> Pointer:
    """Replace the pointer by what `decide` makes of it; what it lists and removes then.

    `decide` is asked again if another change has come between. What it lists under `attempt` tells
    whether an update whose reply was lost has been carried out. Raises `Unavailable`: nothing has
    changed, or, where nothing can be learned from the server for long, that is not known.
    """
    sent = False
    try:
        async with asyncio.timeout(SETTLED_WITHIN if attempt else None):
            while True:
                try:
                    found = await read(server)
                    if sent and any(entry.attempt == attempt for entry in found.listed):
                        return found
                    wanted = await decide(found)
                    sent = True
                    if await _replace(server, found, wanted):
                        return wanted
                except Unavailable:
                    if not (sent and attempt):
                        raise
                    await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        raise Unavailable("MongoDB: whether the pointer has changed is not known") from error


async def _replace(server: Server, found: Pointer, wanted: Pointer) -> bool:
    if wanted == found:
        return True
    where = {"_id": POINTER, "version": found.version}
    change = replace(wanted, version=found.version + 1).document()
    return await server.update(POINTER, where, {"$set": change})
