"""Faults upon the guard on a real kernel in the virtual machine: tests/kernel/inside/chaos plays, this judges."""
