"""The operator: thinks minutes ahead, with what only the cluster knows."""
