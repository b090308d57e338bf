"""`kubectl memguard`: the cluster as people ask about it, through their own kubeconfig.

`login` and `transport` reach it with every way to log in that kubectl knows, `cluster` reads it as our types; `rules`
are its policies, `stops` its emergency stops. `options` has what several commands take, `suggest` and `complete` what
a shell offers for it, `progress` a wheel that turns meanwhile; `app` puts the commands together.

Each command is a package of its name. In each `command` is how it is called and what it reads, `view` how people see
what was found; between them is what was found, as documents, and how, mostly without a cluster:

    top         standing: nodes, pods and containers by the nodes' last reports
    explain     case: all about one pod; reasons: why its containers would be chosen now, or not
    history     decision_list
    report      happenings: what became of the pod (the report itself is memguard.cli.incident)
    scorecard   evidence: what observing was right about
    fairness    balance: who is hit, against who holds the memory
    simulate    simulation, of: policy_file, traces (recorded readings decided anew), rejudged (a candidate under other
                policies), hindsight (recorded decisions) and prospect (nodes as they are)
    doctor      diagnosis, of: cluster_checks (by what is installed) and node_checks
    pause       paused; also `resume`
"""
