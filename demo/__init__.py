"""`python -m demo`: three short stories on a real kernel, and who dies in each of them, by whose hand, and why."""
