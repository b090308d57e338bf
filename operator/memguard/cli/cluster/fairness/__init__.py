"""`kubectl memguard fairness`: who is hit, against who holds the memory."""
