"""What each layer sends, and not only what is left of it: a file that a later layer hides is still there for all."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import pytest
from e2e import archive, images

SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "toybox", "perl"}
FETCHERS = {
    "apt",
    "apt-get",
    "dpkg",
    "apk",
    "rpm",
    "dnf",
    "pip",
    "pip3",
    "curl",
    "wget",
    "nc",
    "git",
    "gcc",
    "cc",
    "ld",
}
SET_ID = stat.S_ISUID | stat.S_ISGID


def members(file: Path) -> list[tarfile.TarInfo]:
    """Every entry of every layer."""
    return [member for layer in archive.contents(file) for member in tarfile.open(fileobj=io.BytesIO(layer))]


@pytest.fixture(scope="module", params=images.TARGETS)
def entries(request: pytest.FixtureRequest, archives: dict[str, Path]) -> list[tarfile.TarInfo]:
    return members(archives[request.param])


def is_program(member: tarfile.TarInfo) -> bool:
    return member.isfile() and bool(member.mode & 0o111)


#: What an image of ours never has.
WRONG = {
    "a shell": lambda one: is_program(one) and Path(one.name).name in SHELLS,
    "fetches or installs": lambda one: is_program(one) and Path(one.name).name in FETCHERS,
    "hides a file of a layer below": lambda one: Path(one.name).name.startswith(".wh."),
    "no file, directory or link": lambda one: not (one.isfile() or one.isdir() or one.issym() or one.islnk()),
    "runs as another user": lambda one: bool(one.mode & SET_ID),
    "anybody may write it": lambda one: bool(one.mode & stat.S_IWOTH) and not one.issym(),
    "brings rights along": lambda one: any("security.capability" in key for key in one.pax_headers),
    "somebody's": lambda one: (one.uid, one.gid) != (0, 0),
    "of some time": lambda one: one.mtime != 0,
}


def wrong(member: tarfile.TarInfo) -> list[str]:
    return [words for words, holds in WRONG.items() if holds(member)]


def test_every_entry_of_every_layer_is_harmless(entries: list[tarfile.TarInfo]) -> None:
    assert len(entries) > 1000
    assert {member.name: problems for member in entries if (problems := wrong(member))} == {}


@pytest.mark.parametrize(
    ("name", "facts", "problem"),
    [
        ("bin/sh", {"mode": 0o755}, "a shell"),
        ("usr/bin/wget", {"mode": 0o755}, "fetches or installs"),
        ("etc/.wh.shadow", {}, "hides a file of a layer below"),
        ("dev/sda", {"type": tarfile.BLKTYPE}, "no file, directory or link"),
        ("bin/su", {"mode": 0o4755}, "runs as another user"),
        ("bin/wall", {"mode": 0o2755}, "runs as another user"),
        ("tmp", {"mode": 0o1777, "type": tarfile.DIRTYPE}, "anybody may write it"),
        ("bin/ping", {"pax_headers": {"SCHILY.xattr.security.capability": "x"}}, "brings rights along"),
        ("a", {"uid": 1000}, "somebody's"),
        ("a", {"mtime": 1}, "of some time"),
        ("usr/lib/python3.13/os.py", {}, None),
    ],
)
def test_what_is_wrong_would_be_seen(name: str, facts: dict[str, object], problem: str | None) -> None:
    member = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(member, key, value)
    assert wrong(member) == ([problem] if problem else [])
