"""The report of one incident: a MemoryGuardDecision, told so that somebody who sees memguard for the first time
understands it.

`incident` is what is known, `curves` what was read of memory; `words`, `moments`, `facts` and `bars` say it, `chart`,
`strip` and `marks` place it. `page` makes the HTML page of it (template/), `view` the terminal's, `delivery` prints
either; `reading` takes an incident from a file. Nothing is decided here.
"""
