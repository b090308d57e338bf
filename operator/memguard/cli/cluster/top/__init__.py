"""`kubectl memguard top`: nodes, pods and containers by the nodes' own reports, live."""
