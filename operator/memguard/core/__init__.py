"""The decision, pure: no I/O, no clock, no randomness, no globals.

Read the modules in the order of the data: model, policy, footprint, domain, forecast, history, pressure, score, cases,
select, ladder, budget, explain, trace, replay. From what people write to the plan: selector, quantity, policies,
advice, guardrails, notes, compile. Beside the chain: decision and link (what is told, and how), scorecard, feedback.
"""
