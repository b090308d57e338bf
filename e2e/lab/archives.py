"""Images from scratch without a container engine: static programs in one layer, as a docker archive.

containerd, docker and kind all load it. The bytes depend on the inputs alone, so that the same image is the same file.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.lab.cache import CACHE, built, digest, run
from tests.machine.share import loads

PAUSE_SOURCE = Path(__file__).with_name("pause.c")
#: containerd's configuration in rootfs/ names it as the sandbox's image.
PAUSE = "localhost/pause:lab"
#: The loads of tests/machine/loads.c as /loads, and a shell with all of busybox.
LOADS = "localhost/loads:lab"
ARCHITECTURE = "amd64"
#: Where Debian's static busybox comes from: no package of it need be installed.
SUITE = "trixie"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An image from scratch: `files` by path in the image, `links` to other paths, what runs unless the pod says."""

    name: str
    files: Mapping[str, Path]
    links: Mapping[str, str]
    command: tuple[str, ...]

    def write(self, file: Path) -> None:
        """Write the docker archive."""
        layer = self._layer()
        layer_digest = hashlib.sha256(layer).hexdigest()
        config = json.dumps(
            {
                "architecture": ARCHITECTURE,
                "os": "linux",
                "config": {"Cmd": list(self.command), "Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            }
        ).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        layer_name = f"{layer_digest}/layer.tar"
        manifest = json.dumps([{"Config": config_name, "RepoTags": [self.name], "Layers": [layer_name]}]).encode()
        members = ((config_name, config), (layer_name, layer), ("manifest.json", manifest))
        file.write_bytes(_tar((_file(name, len(data)), data) for name, data in members))

    def _layer(self) -> bytes:
        directory = _file("tmp", 0)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o1777
        files = ((_file(name, path.stat().st_size, 0o755), path.read_bytes()) for name, path in self.files.items())
        links = ((_link(name, target), b"") for name, target in self.links.items())
        return _tar([(directory, b""), *files, *links])


def ensure() -> dict[str, Path]:
    """The lab's own images: archive by name, built where missing."""
    sources = (Path(__file__), PAUSE_SOURCE, loads())
    directory = built(CACHE / "archives" / digest(*(source.read_bytes() for source in sources)), _build)
    return {PAUSE: directory / "pause.tar", LOADS: directory / "loads.tar"}


def _build(out: Path) -> None:
    pause, busybox = out.parent / "pause", out.parent / "debian/usr/bin/busybox"
    run("gcc", "-Os", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(pause), str(PAUSE_SOURCE))
    run("mmdebstrap", "--quiet", "--variant=extract", "--include=busybox-static", SUITE, str(out.parent / "debian"))
    Archive(name=PAUSE, files={"pause": pause}, links={}, command=("/pause",)).write(out / "pause.tar")
    applets = {f"bin/{name}": "busybox" for name in run(str(busybox), "--list").split() if name != "busybox"}
    files = {"loads": loads(), "bin/busybox": busybox}
    Archive(name=LOADS, files=files, links=applets, command=("/loads", "pause")).write(out / "loads.tar")


def _tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


def _file(name: str, size: int, mode: int = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    return member


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = _file(name, 0)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member
