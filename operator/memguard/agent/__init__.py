"""The node's voice: what the cluster says to the guard, and what the guard says to the cluster.

Read it in the order of the data. In: identities (who is who), plan (policies to one plan), orders. Over the socket:
guard_link. Out: chronicle (news, on disk before all else, in spool and ledger), decisions and notices (records and
Events), report and publisher (NodeMemory), metrics and web. agent puts it together, crew holds the threads, main is the
command. Standard library, msgspec and prometheus_client only; threads, not asyncio: half the memory.
"""
