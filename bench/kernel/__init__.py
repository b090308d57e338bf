"""The guard on a real kernel: the matrix of scenarios, its runner and its report (`python -m bench kernel`)."""
