"""One lean Kubernetes API client for agent and operator: threads, http.client and ssl, msgspec, and nothing else.

Read it in this order: objects and resources (what there is), codec (bytes), connection and kubeconfig (where, and who
we are), answers and wire (one request), client (every verb), retry, store and watch (a set of objects kept up to date),
spam and events, lease. An official client costs an agent 20 to 60 MiB more.
"""
