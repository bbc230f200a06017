"""MongoDB's protocol, spoken by mongo-java-server (Maven Central), in memory. It is not MongoDB: it has no
transactions, no TTL, no change streams and no indexes but unique ones, compares strings by UTF-16, and is slow.
What the product asks for, both do; the URL of a real mongod in the variable runs the same tests on that.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.launchers import place

NAME = "mongo"
VARIABLE = "BVW_TEST_MONGO_URL"
SETTING = "BVW_BATCH_URL"
VERSION = "1.47.0"
SOURCES = Path(__file__).parent / "mongo_server"


def install(folder: Path) -> None:
    with place.once(_jars(folder)) as new:
        if new is not None:
            shutil.copy(SOURCES / "pom.xml", new)
            place.maven("copy-dependencies", "-f", str(new / "pom.xml"), f"-DoutputDirectory={new}")


def start(folder: Path) -> place.Server:
    port, own = place.free_port(), place.run_folder(NAME)
    # Java compiles a single source file as it starts it.
    source = str(SOURCES / "MongoServerMain.java")
    command = [place.java(), "-Xmx512m", "-cp", f"{_jars(folder)}/*", source, str(port)]
    url = f"mongodb://127.0.0.1:{port}/bvw"
    return place.launched(NAME, command, own, url, lambda: place.listens(port))


def _jars(folder: Path) -> Path:
    return folder / f"mongo-java-server-{VERSION}"
