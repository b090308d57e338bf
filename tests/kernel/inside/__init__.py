"""Scenarios that run inside the machine (`python3 -m inside.NAME`), each printing one JSON value; stdlib only."""
