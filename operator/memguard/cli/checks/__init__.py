"""Is this machine fit to be guarded? One function a question, each answered with what to do.

`check` says what an answer is; `hierarchy`, `privileges` and `neighbours` ask.
"""
