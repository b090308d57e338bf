"""Runs in the machine: `python3 -m recorder NAME` plays one script and records it."""
