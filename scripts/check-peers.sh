#!/usr/bin/env bash
# Holds alinfik against other people's programs: h5py, transformers, sentence-transformers. `make check-peers`
# builds alinfik and then calls this.
#
#   ALINFIK_PEERS_PYTHON  a python that has the packages below (default: an environment built in .cache/peers-venv)
#   ALINFIK_DATA          test data: stories260k/ and smollm2-135m/tokenizer.json (default: ../shared/data)
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(torch transformers tokenizers safetensors h5py sentence-transformers numpy scipy jinja2)
data=${ALINFIK_DATA:-../shared/data}
alinfik=$PWD/.build/release/alinfik
models=$PWD/.cache/models
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

if [ ! -d "$data/stories260k" ] || [ ! -f "$data/smollm2-135m/tokenizer.json" ]; then
  echo "check-peers: $data has no stories260k/ or smollm2-135m/tokenizer.json: set ALINFIK_DATA." >&2
  exit 66
fi
data=$(cd "$data" && pwd)

python=${ALINFIK_PEERS_PYTHON:-.cache/peers-venv/bin/python}
modules=${packages[*]//-/_}
if ! "$python" -c "import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in '$modules'.split()))" 2>/dev/null; then
  if [ -n "${ALINFIK_PEERS_PYTHON:-}" ]; then
    echo "check-peers: $python does not have all of: ${packages[*]}" >&2
    exit 69
  fi
  echo "check-peers: building .cache/peers-venv (a few gigabytes, once)" >&2
  rm -rf .cache/peers-venv
  python3 -m venv .cache/peers-venv || {
    echo "check-peers: python3 cannot make environments (Debian: apt-get install python3-venv)." >&2
    exit 69
  }
  "$python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

scripts/fetch-models
mkdir -p .cache/peers
[ -f .cache/demo/unseen.jsonl ] || scripts/make-demo-corpus.py

failed=()
# check TITLE COMMAND...: runs a check, notes whether it failed, goes on
check() {
  local title=$1
  shift
  echo "== $title" >&2
  if "$@" >&2; then echo "   ok" >&2; else failed+=("$title"); fi
}

check "h5py reads labels.h5; labels of stories260k against PyTorch" \
  "$python" scripts/peers/labels.py --alinfik "$alinfik" --model "$data/stories260k"
check "sentence-transformers loads a valuator" \
  "$python" scripts/peers/valuator.py --alinfik "$alinfik" --model "$data/stories260k" \
  --init "$models/all-MiniLM-L6-v2" --target .cache/demo/target.jsonl --sample .cache/demo/sample.jsonl \
  --unseen .cache/demo/unseen.jsonl
check "SmolLM2 from GGUF against transformers" \
  "$python" scripts/peers/smollm2.py --alinfik "$alinfik" --gguf "$models/SmolLM2-135M-Instruct.Q4_1.gguf" \
  --tokenizer "$data/smollm2-135m/tokenizer.json" --reference "$PWD/.cache/peers/smollm2.json"
swift build -c release --build-tests >&2
check "tests that need the downloaded models" \
  env ALINFIK_DATA="$data" ALINFIK_MINILM="$models/all-MiniLM-L6-v2" \
  ALINFIK_SMOLLM2="$models/SmolLM2-135M-Instruct.Q4_1.gguf" \
  ALINFIK_SMOLLM2_REFERENCE="$PWD/.cache/peers/smollm2.json" \
  swift test -c release --skip-build --filter 'TokenizationTests|SmolLM2Tests'

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check-peers: FAILED: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "check-peers: all agree" >&2
