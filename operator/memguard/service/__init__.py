"""What every process of ours with a network has: threads that are all needed, a log, and an ear for HTTP."""
