"""`kubectl memguard scorecard`: what observing showed, as evidence for or against enforcing."""
