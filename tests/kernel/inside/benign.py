"""Real programs that nobody may kill, on a tight node under a guard that may: a JVM that warms up, PostgreSQL under
pgbench, a Go build and gcc on four files (`python3 -m inside.benign SECONDS`).

The image is machine.image.BENIGN, the clock the real one: what counts is who dies, and whether a probe is missed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from guest import node
from guest.cgroups import Names

from inside.stage import ROOT, RUN, Stage, stage, tell, until

MIB = 1 << 20
#: Disk, not the tmpfs of RUN: builds write a lot.
WORK = Path("/var/tmp/benign")  # noqa: S108 - the machine is ours alone
PROBE_SECONDS = 5.0
#: In each of gcc's four files: it takes 47 MiB for 50, 66 for 100 and 177 for 400, and a round must end several times.
FUNCTIONS = 100
#: A probe may take this long: the machine is emulated, about seven times slower than a real one.
PROBE_TIMEOUT_SECONDS = 5.0
RESERVE_MIB = 72

JAVA = """\
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;

/** Fills a cache of MiB while it produces garbage, and answers probes on a Unix socket. */
public class Warm {
    static volatile Object sink;

    public static void main(String[] arguments) throws Exception {
        Path path = Path.of(arguments[0]);
        Files.deleteIfExists(path);
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(path));
        Thread probe = new Thread(() -> answer(server));
        probe.setDaemon(true);
        probe.start();
        List<byte[]> kept = new ArrayList<>();
        for (int most = Integer.parseInt(arguments[1]);; Thread.sleep(20)) {
            if (kept.size() < most) kept.add(new byte[1 << 20]);
            for (int i = 0; i < 50; i++) sink = new byte[64 << 10];
        }
    }

    static void answer(ServerSocketChannel server) {
        for (;;) {
            try (SocketChannel client = server.accept()) {
                client.write(ByteBuffer.wrap("ok".getBytes()));
            } catch (Exception e) {
                continue;
            }
        }
    }
}
"""
JVM_SOCKET = WORK / "jvm.sock"
PG = WORK / "pg"
#: Each loops for ever and counts its rounds; what ends before it is told to has failed.
PROGRAMS = {
    "jvm": f"exec java -Xmx176m Warm.java {JVM_SOCKET} 120",
    "postgres": f"exec {{pg}}/postgres -D {PG} -c listen_addresses= -c unix_socket_directories={PG}"
    " -c shared_buffers=64MB",
    "pgbench": f"while pgbench -n -h {PG} -c 4 -T 20 postgres >pgbench.log; do echo >>pgbench.rounds; done",
    "go": "while rm -rf go-cache && go build -p 2 net/http; do echo >>go.rounds; done",
    "gcc": "while for i in 1 2 3 4; do gcc -O2 -c big$i.c -o big$i.o & done; wait; do echo >>gcc.rounds; done",
}
LIMITS_MIB = {"jvm": 320, "postgres": 256}
GO_ENVIRONMENT = {"GOCACHE": str(WORK / "go-cache"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "HOME": str(WORK)}


def prepare() -> None:
    """Sources to compile, and a database cluster with pgbench's tables."""
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "Warm.java").write_text(JAVA)
    for index in range(1, 5):
        functions = (_function(index, number) for number in range(FUNCTIONS))
        (WORK / f"big{index}.c").write_text("#include <stdio.h>\n" + "".join(functions))
    owner = pwd.getpwnam("postgres")
    os.chown(WORK, owner.pw_uid, owner.pw_gid)
    as_postgres(f"{postgres_programs()}/initdb -D {PG} >initdb.log")


def _function(file: int, number: int) -> str:
    body = "".join(f'  if (n % {k + 2} == {number % (k + 2)}) printf("%d {k}\\n", n * {k});\n' for k in range(12))
    return f"int f{file}_{number}(int n) {{\n{body}  return n + {number};\n}}\n"


def postgres_programs() -> Path:
    """The newest version's bin directory."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


def as_postgres(script: str) -> None:
    """Run it to its end as the database's owner. Raises CalledProcessError."""
    subprocess.run(("setpriv", *POSTGRES, "sh", "-c", script), check=True, cwd=WORK, env=environment())


POSTGRES = ("--reuid=postgres", "--regid=postgres", "--clear-groups")


def environment() -> dict[str, str]:
    """For all programs."""
    return {**os.environ, **GO_ENVIRONMENT, "PATH": f"{os.environ['PATH']}:{postgres_programs()}"}


def start(scene: Stage, name: str) -> subprocess.Popen[bytes]:
    """One program in a container of its own."""
    cgroup = ROOT / Names(name).container()
    script = PROGRAMS[name].format(pg=postgres_programs())
    identity = ("setpriv", *POSTGRES) if name in {"postgres", "pgbench"} else ()
    with (WORK / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            (os.environ["MG_LOADS"], "enter", f"cgroup={cgroup}", "adj=900", "--", *identity, "sh", "-c", script),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=WORK, env=environment(),
        )  # fmt: skip
    scene.children.append(child)
    return child


def jvm_answers() -> bool:
    """Does the JVM answer in time?"""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PROBE_TIMEOUT_SECONDS)
            client.connect(str(JVM_SOCKET))
            return client.recv(2) == b"ok"
    except OSError:
        return False


def postgres_answers() -> bool:
    """Does PostgreSQL take connections?"""
    command = (str(postgres_programs() / "pg_isready"), "-q", "-h", str(PG), "-t", str(int(PROBE_TIMEOUT_SECONDS)))
    return subprocess.run(command, check=False).returncode == 0


PROBES: dict[str, Callable[[], bool]] = {"jvm": jvm_answers, "postgres": postgres_answers}


def main(seconds: float) -> None:
    """All of it."""
    prepare()
    with stage() as scene:
        for name in PROGRAMS:
            scene.container(name, limit_mib=LIMITS_MIB.get(name, 0))
        guard = scene.guard(reserve_mib=RESERVE_MIB)
        kills_before = node.vmstat()["oom_kill"]
        children = {name: start(scene, name) for name in ("jvm", "postgres")}
        if not until(lambda: all(probe() for probe in PROBES.values()), 300, step=1.0):
            raise TimeoutError(f"JVM and PostgreSQL did not start: {logs()}")
        as_postgres(f"pgbench -q -i -s 4 -h {PG} postgres 2>pgbench.log")
        children |= {name: start(scene, name) for name in ("pgbench", "go", "gcc")}
        began, missed, asked, least = time.monotonic(), [], 0, node.meminfo()["MemTotal"]
        while time.monotonic() - began < seconds:
            missed += [name for name, probe in PROBES.items() if not probe()]
            asked += len(PROBES)
            time.sleep(PROBE_SECONDS)
            least = min(least, node.meminfo()["MemAvailable"])
        told = {
            "seconds": time.monotonic() - began,
            "decisions": [line["reason"] for line in guard.said("decision")],
            "alarms": [line["reason"] for line in guard.said("alarm")],
            "doubts": len(guard.said("nobody")),
            "kernelOomKills": node.vmstat()["oom_kill"] - kills_before,
            "ended": {name: child.returncode for name, child in children.items() if child.poll() is not None},
            "probes": asked,
            "missed": missed,
            "rounds": {path.stem: path.stat().st_size for path in WORK.glob("*.rounds")},
            "leastAvailableMiB": least / MIB,
            "noise": guard.said("noise"),
        }
        tell({**told, "exit": guard.stop(), **({"logs": logs()} if told["ended"] or told["decisions"] else {})})
    shutil.rmtree(WORK)
    shutil.rmtree(RUN, ignore_errors=True)


def logs() -> dict[str, str]:
    """What the programs said last."""
    return {path.stem: path.read_text(errors="replace")[-600:] for path in WORK.glob("*.log")}


if __name__ == "__main__":
    main(float(sys.argv[1]))
