"""A real HAPI FHIR 8.8 server, started from public Maven artifacts by name.

It knows Java and Maven; it refuses to know what is asked of the server.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT

HERE = Path(__file__).parent
DATA = ROOT / ".data" / "hapi"
JARS = DATA / "lib"
OLDEST_JAVA = 17
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JVM = ("-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


def what_is_missing() -> str | None:
    """Name what this machine lacks to run the server, or nothing."""
    if shutil.which("java") is None:
        return f"Java {OLDEST_JAVA}"
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        return f"Java {OLDEST_JAVA}"
    return None if shutil.which("mvn") or _has_jars() else "Maven"


@contextmanager
def hapi_server(*options: str) -> Iterator[str]:
    """Run a server on an empty database in memory and give its base URL.

    Args: options of the JVM, which override its own.
    """
    _copy_jars()
    command = ["java", *JVM, *options, "-cp", f"{JARS}/*", str(HERE / "HapiServer.java")]
    log = DATA / "server.log"
    with log.open("wb") as errors:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
    with server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"HAPI did not start: {log.relative_to(ROOT)} says why")
        try:
            yield f"http://127.0.0.1:{port}/fhir"
        finally:
            server.terminate()


def _has_jars() -> bool:
    """The pom is copied last: it says that the jars are all there, and for which pom."""
    copied = JARS / "pom.xml"
    return copied.is_file() and copied.read_bytes() == (HERE / "pom.xml").read_bytes()


def _copy_jars() -> None:
    if _has_jars():
        return
    shutil.rmtree(JARS, ignore_errors=True)
    command = ["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), COPY, "-DincludeScope=runtime"]
    done = subprocess.run([*command, f"-DoutputDirectory={JARS}"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Maven could not copy the jars of HAPI:\n{done.stdout[-2000:]}")
    shutil.copy(HERE / "pom.xml", JARS)
