#!/usr/bin/env bash
# Tests integrations/python with the real engines: pyarrow, Ray, Spark, datatrove, sentence-transformers, onnxruntime.
# `make test-integrations` builds alinfik and then calls this, with arguments for pytest in ARGS.
#
#   ALINFIK       the command to test with (default: .build/release/alinfik)
#   ALINFIK_DATA  test data: stories260k/ (default: ../shared/data); without it the tests are skipped, and say so
set -euo pipefail
cd "$(dirname "$0")/.."

environment=$PWD/.cache/integrations-venv
packages=(
  pytest setuptools pyarrow pandas 'ray[data,serve]' pyspark 'datatrove[io]' sentence-transformers tokenizers
  onnx onnxscript onnxruntime
)
export ALINFIK=${ALINFIK:-$PWD/.build/release/alinfik}
export PATH=$environment/bin:$PATH TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE PYTHONPATH

if [ ! -x "$ALINFIK" ]; then
  echo "test-integrations: $ALINFIK is no command: run make build, or set ALINFIK." >&2
  exit 66
fi

# Spark runs on Java.
if ! java -version >/dev/null 2>&1; then
  if ! command -v apt-get >/dev/null; then
    echo "test-integrations: there is no Java (17 or newer), which Spark needs, and no apt-get to install it." >&2
    exit 69
  fi
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends default-jre-headless >&2
fi

# The environment is whole when it holds this list; another list builds it anew.
if [ "$(cat "$environment/packages" 2>/dev/null)" != "torch ${packages[*]}" ]; then
  echo "test-integrations: building .cache/integrations-venv (some gigabytes, once)" >&2
  rm -rf "$environment"
  python3 -m venv "$environment" || {
    echo "test-integrations: python3 cannot make environments (Debian: apt-get install python3-venv)." >&2
    exit 69
  }
  pip install --quiet --disable-pip-version-check torch
  pip install --quiet --disable-pip-version-check "${packages[@]}"
  echo "torch ${packages[*]}" >"$environment/packages"
fi

# The package as it would be installed, built from a copy so that the checkout stays as it is.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r integrations/python/{pyproject.toml,README.md,alinfik} "$copy"
pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall "$copy"

pytest integrations/python "$@"
