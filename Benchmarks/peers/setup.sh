#!/usr/bin/env bash
# Builds the Python environment of the peer benchmarks in .cache/bench-venv, once, and says which peers it can run.
#
#   ALINFIK_BENCH_PYTHON  a python that has the packages already: nothing is installed, only looked at
#
# Prints the python's path on standard output. A peer that is missing is named on standard error and is no error: it is
# left out of the comparison. Without PyTorch and transformers there is nothing to compare with, which is one.
set -euo pipefail
cd "$(dirname "$0")/../.."

logix=git+https://github.com/logix-project/logix@f576318d16818cd83de642ac29fbbab20d873368
bergson=bergson==2.5.1
torch=torch==2.15.0
packages=(
  transformers==5.23.0 numpy==2.4.6 pyyaml==6.0.3 tqdm==4.70.1 einops==0.8.2 datasets==5.2.0 jaxtyping==0.3.11
  ml_dtypes==0.6.0 natsort==8.4.0 simple-parsing==0.1.9 psutil==7.2.2
)
# With all their dependencies these ask for packages that only a GPU, or a part that is not used here, needs.
alone=(peft==0.21.2 accelerate==1.15.0 torchopt==0.7.3 petname==2.9)

install() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }

# has MODULE: whether it imports
has() { "$python" -c "import $1" >/dev/null 2>&1; }

python=${ALINFIK_BENCH_PYTHON:-$PWD/.cache/bench-venv/bin/python}
if [ -z "${ALINFIK_BENCH_PYTHON:-}" ] && [ ! -f .cache/bench-venv/complete ]; then
  echo "bench: building .cache/bench-venv (a few gigabytes at most, once)" >&2
  rm -rf .cache/bench-venv
  python3 -m venv .cache/bench-venv || {
    echo "bench: python3 cannot make environments (Debian: apt-get install python3-venv)." >&2
    exit 69
  }
  # Where PyTorch's own index can be reached its CPU build is taken: a tenth of the download, and less memory.
  install "$torch" --extra-index-url https://download.pytorch.org/whl/cpu
  install "${packages[@]}"
  # A peer that cannot be installed is left out. LogIX says it needs Python before 3.11, yet runs on later ones.
  install --no-deps "${alone[@]}" "$bergson" || true
  install --no-deps --ignore-requires-python "$logix" || true
  touch .cache/bench-venv/complete
fi

if ! has torch || ! has transformers; then
  echo "bench: $python has no torch or no transformers." >&2
  exit 69
fi
has logix || echo "bench: LogIX is missing: logix_peer.py is left out." >&2
has bergson || echo "bench: Bergson is missing: bergson_peer.py is left out." >&2
echo "$python"
