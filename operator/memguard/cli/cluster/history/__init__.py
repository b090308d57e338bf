"""`kubectl memguard history`: what was decided, and what became of it."""
