"""The four kinds of the group memguard.io as types: the agent and the operator decode and write them, and the CRDs in
crds/ are generated from them, so that neither can say what the other does not.

meta has what all share, policies, decision and node_memory the kinds, definitions how `kubectl` shows them and what the
API server checks beyond types, crd the generator, wire the way of an object to the API server.
"""
