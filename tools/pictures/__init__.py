"""Every picture in docs/, a module for each kind.

`make generate` draws docs/pictures/*.svg (`drawings`, of `concepts` and of what is `measured`).
docs/images/*.png are of things that happened, and are taken anew by hand: `python -m tools.pictures` says how.
"""
