"""`python -m e2e up|down`: the test cluster of this checkout, with our images in it."""

from __future__ import annotations

import argparse
import sys

from e2e import cluster
from e2e.images import build_images
from e2e.lab.errors import LabError


def main() -> int:
    """Exit code 1 where it did not come up or down; the error says why."""
    parser = argparse.ArgumentParser(prog="python -m e2e", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    command = parser.parse_args().command
    ours = cluster.ours()
    try:
        _up(ours) if command == "up" else ours.down()
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _up(ours: cluster.Cluster) -> None:
    ours.up(tuple(build_images().values()))
    sys.stdout.write(f"KUBECONFIG={ours.kubeconfig}\nnodes: {' '.join(cluster.NODES)}\n")


if __name__ == "__main__":
    sys.exit(main())
