"""Faults on a real cluster: a leak on a node of the lab, and whoever is around it failing at random moments."""
