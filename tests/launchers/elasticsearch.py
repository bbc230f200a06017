"""Elasticsearch: the server itself with few of its modules, as its makers test clients with it, from Maven
Central. It refuses to run as root, so root starts it as a user of no name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

from tests.launchers import place

NAME = "elasticsearch"
VARIABLE = "BVW_TEST_ELASTICSEARCH_URL"
SETTING = "BVW_SPEED_URL"
VERSION = "8.19.21"
_ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
_HEAP = "512m"
_USER = 1500
"""Of no name and with nothing of its own; any number but 0 does."""


def install(folder: Path) -> None:
    with place.once(_home(folder)) as new, tempfile.TemporaryDirectory() as fetched:
        if new is None:
            return
        place.maven("get", "-Dtransitive=false", f"-Dartifact={_ARTIFACT}")
        place.maven("copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={fetched}")
        shutil.unpack_archive(Path(fetched) / f"elasticsearch-{VERSION}.zip", fetched)
        for part in (Path(fetched) / f"elasticsearch-{VERSION}").iterdir():
            shutil.move(part, new)
        for program in (new / "bin").iterdir():
            program.chmod(0o755)


def start(folder: Path) -> place.Server:
    home, run = _home(folder), place.run_folder(NAME)
    port = place.free_port()
    _configure(home, run, port, place.free_port())
    command = [str(home / "bin" / "elasticsearch")]
    if os.getuid() == 0:
        _give(run)
        command = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *command]
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(run),
        "ES_JAVA_HOME": str(Path(shutil.which(place.java()) or "").resolve().parent.parent),
        "ES_PATH_CONF": str(run / "conf"),
        "ES_TMPDIR": str(run / "tmp"),
        "ES_JAVA_OPTS": f"-Xms{_HEAP} -Xmx{_HEAP}",
        "CLI_JAVA_OPTS": "-Xmx64m -XX:+UseSerialGC",
    }
    url = f"http://127.0.0.1:{port}"
    return place.launched(NAME, command, run, url, lambda: _ready(url), env=env)


def _home(folder: Path) -> Path:
    return folder / f"elasticsearch-{VERSION}"


def _configure(home: Path, run: Path, port: int, transport: int) -> None:
    for name in ("conf", "data", "logs", "tmp"):
        (run / name).mkdir()
    (run / "conf" / "jvm.options.d").mkdir()
    for name in ("log4j2.properties", "jvm.options"):
        shutil.copy(home / "config" / name, run / "conf")
    (run / "conf" / "elasticsearch.yml").write_text(
        f"""cluster.name: tests-{port}
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport}
discovery.type: single-node
xpack.security.enabled: false
path.data: {run / "data"}
path.logs: {run / "logs"}
cluster.routing.allocation.disk.threshold_enabled: false
"""
    )


def _give(run: Path) -> None:
    for path in (run, *run.rglob("*")):
        os.chown(path, _USER, _USER)


def _ready(url: str) -> bool:
    health = f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s"
    with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
