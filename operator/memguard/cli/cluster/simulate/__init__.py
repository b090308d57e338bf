"""`kubectl memguard simulate`: what a policy would have done, before it is applied."""
