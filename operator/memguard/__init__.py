"""memguard: the memory guard for over-committed Kubernetes nodes."""

__version__ = "0.1.0"
