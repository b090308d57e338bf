"""The command line: one command a module, what it prints in `view`, what several commands share in the rest.

A command reads (files), decides (core) and hands a document to `output`; it never formats, and a view never decides.
"""
