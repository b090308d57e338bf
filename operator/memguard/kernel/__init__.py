"""The kernel's files: one module per source that is read and per lever that is pulled.

Readers return None for what vanished or does not exist here, levers return what became of them: neither raises
because a container ended under it. Root paths (/sys/fs/cgroup, /proc, /sys) are parameters everywhere.
"""
