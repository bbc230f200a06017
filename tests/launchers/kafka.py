"""Apache Kafka: the real broker in KRaft mode, one node that is broker and controller, its jars by Maven.

Its cluster id is random, because two clusters with one id take each other's records. It is ready once it
says so itself: its port is open long before it serves.
"""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from tests.launchers import place

NAME = "kafka"
VARIABLE = "BVW_TEST_KAFKA_URL"
SETTING = "BVW_LOG_URL"
VERSION = "4.3.1"

# slf4j-api finds no binding without the third one, and the broker then says nothing at all.
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.5</version>
    </dependency>
  </dependencies>
</project>
"""
_LOG4J = """\
<Configuration status="WARN">
  <Appenders><Console name="c"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
  <Loggers>
    <Logger name="org.apache.kafka.common.config.AbstractConfig" level="WARN"/>
    <Logger name="org.apache.kafka" level="INFO"/>
    <Logger name="kafka" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="c"/></Root>
  </Loggers>
</Configuration>
"""
_STARTED = b"Kafka Server started"
_JAVA = ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:+ExitOnOutOfMemoryError",
         "-Djava.awt.headless=true"]  # fmt: skip


def install(folder: Path) -> None:
    with place.once(_jars(folder)) as new:
        if new is not None:
            (new / "pom.xml").write_text(_POM)
            (new / "log4j2.xml").write_text(_LOG4J)
            place.maven(
                "copy-dependencies", "-f", str(new / "pom.xml"),
                "-DincludeScope=runtime", f"-DoutputDirectory={new}",
            )  # fmt: skip


def start(folder: Path) -> place.Server:
    own = place.run_folder(NAME)
    port, controller = place.free_port(), place.free_port()
    properties = own / "server.properties"
    properties.write_text(_properties(own, port, controller))
    _format(_jars(folder), own, properties)
    return _launched(folder, own, port)


def restart(server: place.Server, folder: Path) -> None:
    """After it was killed: the same port, and what it had stored."""
    port = int(server.url.rpartition(":")[2])
    server.process = _launched(folder, server.folder, port).process


def _launched(folder: Path, own: Path, port: int) -> place.Server:
    jars = _jars(folder)
    command = [*_java(jars, "384m"), *_JAVA, "-cp", f"{jars}/*",
               "kafka.Kafka", str(own / "server.properties")]  # fmt: skip
    return place.launched(
        NAME,
        command,
        own,
        f"kafka://127.0.0.1:{port}",
        lambda: _started(own) and place.listens(port),
    )


def _jars(folder: Path) -> Path:
    return folder / f"kafka-{VERSION}"


def _java(jars: Path, heap: str) -> list[str]:
    return [
        place.java(),
        f"-Xms{heap}",
        f"-Xmx{heap}",
        f"-Dlog4j2.configurationFile={jars}/log4j2.xml",
    ]


def _format(jars: Path, own: Path, properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        [*_java(jars, "128m"), "-XX:+UseSerialGC", "-cp", f"{jars}/*", "kafka.tools.StorageTool",
         "format", "-t", cluster, "-c", str(properties)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"kafka: its storage is not formatted:\n{done.stdout}{done.stderr}")


def _started(own: Path) -> bool:
    return _STARTED in (own / "log").read_bytes()


def _properties(own: Path, port: int, controller: int) -> str:
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={own}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=5
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
background.threads=4
num.recovery.threads.per.data.dir=1
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=16777216
"""
