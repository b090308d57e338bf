"""The node's containerd content, filled on this machine: images are there, unpacked, when the node boots.

The node's own containerd imports them natively, in namespaces of its own, and what it wrote becomes a disk. Measured:
2 s for 180 MiB, where an import inside the emulated node takes half a minute; so nothing is cached, and an image that
changes with every commit costs no more than one that does not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from e2e.lab.cache import run
from e2e.lab.node_image import NodeImage, make_disk

#: Sparse: room for what is loaded later and what containers write.
SIZE = "8G"

#: $1: the importer's root, $2: the content's directory, then archives. The process namespace ends containerd with us.
IMPORT = """\
set -eu
root=$1 content=$2; shift 2
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind "$content" "$root/var/lib/containerd"
printf 'version = 2\\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\\n' > "$root/run/config.toml"
chroot "$root" containerd --config /run/config.toml --log-level warn &
until chroot "$root" ctr version >/dev/null 2>&1; do kill -0 $!; sleep 0.05; done
for archive; do chroot "$root" ctr -n k8s.io images import - < "$archive"; done
kill $!
wait $! || true
"""


def make(image: NodeImage, archives: Sequence[Path], disk: Path) -> None:
    """Write a disk with these image archives in it. Needs root."""
    with tempfile.TemporaryDirectory(dir=disk.parent, prefix="content-") as content:
        isolated = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        run(*isolated, "sh", "-c", IMPORT, "sh", str(image.importer), content, *map(str, archives))
        make_disk(Path(content), disk, SIZE)
