"""Files of the lake on the local disk, durable once closed.

The catalogue's row in SQLite is synced when it says that a commit happened, so the files that the
row leads to have to be on the disk before it: each is synced when it is closed, and its directory
too. Iceberg's own local files are left to the kernel's cache, where a power cut finds them.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from services.shared.runtime import durable

if TYPE_CHECKING:
    from types import TracebackType


def sync(path: Path) -> None:
    """Make a file that has been written, and its name, durable."""
    for each in (path, path.parent):
        durable.sync(each)


class LocalFileIO(FileIO):
    """What the catalogue reads and writes its metadata with (its property `py-io-impl`)."""

    def new_input(self, location: str) -> InputFile:
        return _Input(location)

    def new_output(self, location: str) -> OutputFile:
        return _Output(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        Path(location if isinstance(location, str) else location.location).unlink()


class _Input(InputFile):
    def __len__(self) -> int:
        return Path(self.location).stat().st_size

    def exists(self) -> bool:
        return Path(self.location).exists()

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002 - the interface's
        return cast("InputStream", Path(self.location).open("rb"))


class _Output(OutputFile):
    def __len__(self) -> int:
        return Path(self.location).stat().st_size

    def exists(self) -> bool:
        return Path(self.location).exists()

    def to_input_file(self) -> InputFile:
        return _Input(self.location)

    def create(self, overwrite: bool = False) -> OutputStream:
        path = Path(self.location)
        path.parent.mkdir(parents=True, exist_ok=True)
        return cast("OutputStream", _Durable(path, path.open("wb" if overwrite else "xb")))


class _Durable:
    """An open file that is synced when it is closed."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
            sync(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
