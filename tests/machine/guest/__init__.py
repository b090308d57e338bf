"""What runs inside the machine (or on a scratch slice of the host): stdlib only, Python 3.11 or later."""
