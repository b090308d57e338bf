"""The decision, pure: no I/O, no clock, no randomness, no globals.

Read the modules in the order of the data: model, policy, footprint, domain, forecast, history, pressure, score, cases,
select, ladder, budget, explain, trace, replay. Beside the chain, for the operator to come: quantity, feedback.
"""
