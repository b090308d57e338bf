"""`kubectl memguard report`: one incident of the cluster, with its pod and its Events."""
