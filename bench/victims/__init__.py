"""Simulated incidents with a truth, and a judge: does a guard choose the right victim, in time, and only when needed?

The generator knows nothing of memguard: it imports nothing of it, and the truth of an incident follows from its story,
never from a ranking formula. Read in this order: curves (how memory moves), workload (who lives on a node), kernel
(what the node does with it), the stories guilty, innocent and tangled (what goes wrong), corpus (files); then trace
(what a peer sees), peers, triggers, play, ours (memguard), verdict, ablation and report.
"""
