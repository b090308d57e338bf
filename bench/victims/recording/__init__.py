"""Incidents that really happened, on a real kernel: set up, recorded, kept in `recorded/`, and judged as the others."""
