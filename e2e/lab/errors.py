"""The one error of the lab."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot be built or did not do its job; the message says why and what to do."""
