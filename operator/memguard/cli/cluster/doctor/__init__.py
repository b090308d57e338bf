"""`kubectl memguard doctor`: is the cluster fit, or one node of it."""
