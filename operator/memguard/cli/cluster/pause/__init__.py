"""`kubectl memguard pause` and `resume`: the emergency stop."""
