"""The decision, pure: no I/O, no clock, no randomness, no globals.

Read the modules in the order of the data: model, footprint, history, domain, forecast, pressure, policy,
score, cases, select, ladder, feedback, explain, replay.
"""
