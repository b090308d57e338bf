"""`kubectl memguard`: the cluster as people ask about it, through their own kubeconfig.

login and transport reach it with every way to log in that kubectl knows, cluster reads it as our types; then one
command a module, what it finds out in a module beside it that knows no cluster, and how that looks in `view`.
"""
