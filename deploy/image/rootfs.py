"""What the images take from their base: the interpreter, its standard library, and the libraries that these load.

No shell, no package manager, no compiler and no pip come with it: the guard's container is root on its node, and the
image travels to every node. Runs in the build stage, with the very interpreter that it copies; the base needs glibc.
`python3 rootfs.py ROOT WHEELS`: into ROOT; the installed WHEELS have libraries to be loaded, too.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

#: What no service of ours imports and what would only bring further libraries (Tk, ncurses, SQLite, Berkeley DB).
UNUSED = (
    "__pycache__", "site-packages", "dist-packages", "config-*", "sitecustomize.py",
    "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "sqlite3", "test", "tkinter", "turtle*", "venv",
    "_ctypes_test*", "_curses*", "_dbm*", "_gdbm*", "_sqlite3*", "_test*", "_tkinter*", "_xx*", "readline*", "xx*",
)  # fmt: skip
#: glibc opens it by name when a thread ends early, so that nothing lists it as needed.
LOADED_BY_NAME = "libgcc_s.so.1"
#: Where libraries and names are looked up, and what a scanner reads first.
CONFIGURATION = ("/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/os-release")
#: /lib and its like are links since Debian merged them into /usr.
MERGED = ("lib", "lib64")
#: One path whatever the base, for PATH and for the first line of our program.
INTERPRETER = "opt/memguard/bin/python3"


def main(root: Path, wheels: Path) -> None:
    """Lay it all out below `root`."""
    root.mkdir()
    for name in MERGED:
        if (link := Path("/", name)).is_symlink():
            root.joinpath(name).symlink_to(link.readlink())
    interpreter = Path(sys.executable).resolve()
    modules = _standard_library(root)
    programs = [interpreter, *(path for path in modules if path.suffix == ".so"), _library(LOADED_BY_NAME)]
    libraries = _libraries([*programs, *wheels.rglob("*.so")])
    configuration = (path for path in map(Path, CONFIGURATION) if path.exists())
    placed = [_placed(path, root) for path in {*programs, *libraries, *configuration}]
    _note_packages([*placed, *modules], root)
    link = root / INTERPRETER
    link.parent.mkdir(parents=True)
    link.symlink_to(interpreter)


def _standard_library(root: Path) -> list[Path]:
    """Copied and compiled; its files, by where they stand in the base.

    The root file system is read only, so bytecode that does not fit would be made anew at each start; and it must fit
    whatever becomes of the files' times.
    """
    library = Path(sysconfig.get_path("stdlib"))
    copy = root / library.relative_to("/")
    shutil.copytree(library, copy, ignore=shutil.ignore_patterns(*UNUSED))
    modules = [library / path.relative_to(copy) for path in copy.rglob("*") if path.is_file()]
    unchecked = PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(copy, quiet=1, stripdir=str(root), invalidation_mode=unchecked):
        sys.exit(f"{library} does not compile")
    return modules


def _library(name: str) -> Path:
    """Where the loader would find it."""
    listed = _output("ldconfig", "-p")
    found = re.search(rf"\t{re.escape(name)} .* => (\S+)", listed)
    if found is None:
        sys.exit(f"{name} is not in this base")
    return Path(found[1])


def _libraries(programs: Iterable[Path]) -> Iterator[Path]:
    """What these load, the loader itself among it."""
    listed = _output("ldd", *map(str, programs))
    missing = re.findall(r"(\S+) => not found", listed)
    if missing:
        sys.exit(f"missing in this base: {' '.join(missing)}")
    return map(Path, sorted(set(re.findall(r"(/\S+) \(0x", listed))))


def _placed(path: Path, root: Path) -> Path:
    """Copied under its own name, without the links on the way; where it stands in the base."""
    plain = path.parent.resolve() / path.name
    target = root / plain.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)
    return plain


def _note_packages(paths: Iterable[Path], root: Path) -> None:
    """Which Debian packages these files are of, with the sums of what they hold and their licences: scanners look here
    in images without dpkg."""
    if shutil.which("dpkg-query") is None:
        return
    notes = root / "var/lib/dpkg/status.d"
    notes.mkdir(parents=True)
    packages = _owners(paths)
    # Some share the licence of another, which then has a file in the image as well.
    packages |= _owners(_licence(package).resolve() for package in packages)
    for package in packages:
        (notes / package).write_text(_output("dpkg-query", "--status", package))
        (notes / f"{package}.md5sums").write_text(_output("dpkg-query", "--control-show", package, "md5sums"))
        if (licence := _licence(package)).exists():
            target = root / licence.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(licence, target)


def _owners(paths: Iterable[Path]) -> set[str]:
    """The Debian packages that these files are of."""
    names = {name for path in paths for name in (str(path), str(path).removeprefix("/usr"))}  # before the merge, too
    search = ["dpkg-query", "--search", *sorted(names)]
    # It fails where one is of no package (the loader's cache, an interpreter under /usr/local), and lists the others.
    listed = subprocess.run(search, capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^([^:,\s]+)(?::\S+)?: /", listed, re.MULTILINE))


def _licence(package: str) -> Path:
    return Path("/usr/share/doc", package, "copyright")


def _output(*command: str) -> str:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
