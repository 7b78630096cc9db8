#!/usr/bin/env bash
# Installs the Debian packages that the build needs and that are missing; says how to get Swift where it is.
# Quiet and quick when nothing is missing.
set -euo pipefail

swift_wanted=6.2

missing=()
command -v pkg-config >/dev/null || missing+=(pkg-config)
# pkg-config name and Debian package of every system library in Package.swift
while read -r library package; do
  pkg-config --exists "$library" 2>/dev/null || missing+=("$package")
done <<'END'
openblas libopenblas-dev
hdf5 libhdf5-dev
zlib zlib1g-dev
libzstd libzstd-dev
END
# Python only downloads the demo's models and checks against peers; no Python package is needed to build or test.
if ! command -v python3 >/dev/null; then
  missing+=(python3 python3-pip)
elif ! python3 -c 'import pip' 2>/dev/null; then
  missing+=(python3-pip)
fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: missing: ${missing[*]} (names of Debian packages)." >&2
    echo "setup: there is no apt-get here: install their like, with development headers, and run again." >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "setup: run this as root: apt-get install --no-install-recommends ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}" >&2
  install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  # Package lists may be absent or too old to download from: refresh them only when a first try fails.
  if ! "${install[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    "${install[@]}" update >&2
    "${install[@]}" install --yes --no-install-recommends "${missing[@]}" >&2
  fi
fi

if ! command -v swift >/dev/null; then
  cat >&2 <<END
setup: Swift is missing: no \`swift\` in PATH. alinfik builds with Swift $swift_wanted or newer (tested with 6.3).
setup: Get it from https://www.swift.org/install/linux/ : with swiftly, or the toolchain archive for this
setup: system (unpack it and add its usr/bin to PATH). Then run this again.
END
  exit 1
fi
found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
if [ "$(printf '%s\n' "$swift_wanted" "${found:-0}" | sort -V | head -n 1)" != "$swift_wanted" ]; then
  echo "setup: Swift ${found:-of an unknown version} is too old: $(command -v swift); $swift_wanted or newer is needed." >&2
  echo "setup: see https://www.swift.org/install/linux/" >&2
  exit 1
fi
