"""The run of a seed: `python3 -m inside.chaos machine 17`."""

from __future__ import annotations

import sys

from inside.chaos.play import play
from inside.stage import tell, watch_closely


def main() -> None:
    """The part's name, then the seed."""
    part, seed = sys.argv[1:]
    watch_closely()
    tell(play(part, int(seed)))


if __name__ == "__main__":
    main()
