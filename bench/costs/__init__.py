"""What guarding costs (`python -m bench costs`): the pass, idleness, a day, a kill, a start; the agent, the operator.

Read in this order: figures (what is measured), machine and cluster (how), parts (in which pieces), claims (what must
hold of it), tables (as people read it).
"""
