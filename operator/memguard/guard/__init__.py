"""The privileged node process: hears the bell, holds the suspect, decides, acts. No network, no asyncio, no threads.

Read loop.py first; everything else is one of its nouns.
"""
