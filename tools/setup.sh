#!/usr/bin/env bash
# Make this checkout ready: `tools/setup.sh python` (uv and the locked Python packages), `... system` (the programs that
# boot the virtual machine), `... cluster` (what builds and runs a test cluster and our images), `... browser` (what looks
# at the pages), or several of them.
# Does nothing where all is there; as root it installs, else it says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# program:Debian package. The machine needs them (tests/machine/image.py), and a test holds the two lists together.
PROGRAMS=(
  qemu-system-x86_64:qemu-system-x86
  mmdebstrap:mmdebstrap
  mke2fs:e2fsprogs
  gcc:gcc
  setpriv:util-linux
)
# gcc alone cannot link: Debian only recommends the C library's headers beside it.
WITH_GCC=libc6-dev

# The same for a test cluster (e2e/), beside the machine's. Its Go fetches by itself the one that go.mod asks for.
CLUSTER_PROGRAMS=(openssl:openssl buildah:buildah prometheus:prometheus)
OLDEST_GO=1.21

# The same for the pages (tests/browser).
BROWSER_PROGRAMS=(chromium:chromium)

say() { echo "setup: $*" >&2; }

install_packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: $*"
    say "install them with: sudo apt-get install --no-install-recommends $*"
    return 1
  fi
  say "installing $*"
  local quiet=(-qq -o Dpkg::Use-Pty=0)
  apt-get "${quiet[@]}" update >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" install --yes --no-install-recommends "$@" >/dev/null
}

# uv from PATH, else one of our own in .cache, so that neither the system's nor the user's Python is touched.
find_uv() {
  UV=$(command -v uv || true)
  if [ -z "$UV" ]; then
    UV=.cache/uv/bin/uv
    [ -x "$UV" ] || install_uv
  fi
}

install_uv() {
  command -v python3 >/dev/null || install_packages python3 python3-venv
  say "installing uv into .cache/uv"
  if ! python3 -m venv .cache/uv 2>/dev/null; then
    install_packages python3-venv
    python3 -m venv --clear .cache/uv
  fi
  .cache/uv/bin/python -m pip install --quiet uv
}

setup_python() {
  find_uv
  "$UV" sync --locked --quiet
}

# The packages of those program:package pairs whose program is not there.
missing_of() {
  local pair
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
  done
}

setup_system() {
  local missing
  mapfile -t missing < <(missing_of "${PROGRAMS[@]}")
  if ! echo '#include <stdio.h>' | gcc -fsyntax-only -x c - 2>/dev/null; then
    missing+=("$WITH_GCC")
  fi
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

setup_cluster() {
  local missing version
  mapfile -t missing < <(missing_of "${CLUSTER_PROGRAMS[@]}")
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
  version=$(go env GOVERSION 2>/dev/null || true)
  if ! printf '%s\n' "go$OLDEST_GO" "${version:-none}" | sort --version-sort --check=quiet || [ -z "$version" ]; then
    say "missing: Go $OLDEST_GO or newer (found: ${version:-none}), which builds Kubernetes for the test cluster"
    say "install it from go.dev/dl, or the package golang-go where that is new enough"
    return 1
  fi
}

setup_browser() {
  local missing
  mapfile -t missing < <(missing_of "${BROWSER_PROGRAMS[@]}")
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

for part in "$@"; do
  "setup_$part"
done
