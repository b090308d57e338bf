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
    parser.add_argument("--backend", choices=("lab", "kind"), default="lab")
    options = parser.parse_args()
    chosen = cluster.of(options.backend)
    try:
        _up(chosen) if options.command == "up" else chosen.down()
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _up(chosen: cluster.Cluster) -> None:
    chosen.up(tuple(build_images().values()))
    names = " ".join(node.name for node in chosen.nodes)
    sys.stdout.write(f"KUBECONFIG={chosen.kubeconfig}\nnodes: {names}\n")


if __name__ == "__main__":
    sys.exit(main())
