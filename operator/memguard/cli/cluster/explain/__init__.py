"""`kubectl memguard explain`: why a pod was chosen, why it was not, and what would change it."""
