"""One run under faults that follow from its seed: `python3 -m inside.chaos 17`."""
