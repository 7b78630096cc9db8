# Sourced by the experiments: paths and names they share. ALINFIK_DATA and ALINFIK_PEERS_PYTHON as in CONTRIBUTING.md.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
data=$(cd "$repository" && cd "${ALINFIK_DATA:-../shared/data}" && pwd)
python=${ALINFIK_PEERS_PYTHON:-$repository/.cache/peers-venv/bin/python}
alinfik=${ALINFIK:-$repository/.build/release/alinfik}
model=$repository/.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
encoder=$repository/.cache/models/all-MiniLM-L6-v2
runs=$repository/runs/$(basename "$experiment")
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
mkdir -p "$runs"
"$repository/scripts/fetch-models" smollm2 minilm

# usable FILE OUTPUT: the rows that keep a scored token within 192 tokens; the others are bad data at that length, and
# alinfik puts them aside
usable() {
  [ -e "$2" ] && return
  head -n 4 "$data/instruct/target.jsonl" > "$runs/any-target.jsonl"
  rm -f "$2.bad"
  "$alinfik" label --model "$model" --target "$runs/any-target.jsonl" --sample "$1" --max-tokens 192 --dry-run \
    --on-error quarantine --quarantine "$2.bad" --output "$runs/none.h5" > /dev/null
  touch "$2.bad"
  grep -vxFf "$2.bad" "$1" > "$2.partial"
  mv "$2.partial" "$2"
}

# rows FILE PER_SOURCE SEED OUTPUT: of the usable rows, equal quotas a source, by a committed seed
rows() {
  [ -e "$4" ] && return
  usable "$1" "$4.usable"
  "$repository/scripts/subsample.py" "$4.usable" --per-source "$2" --seed "$3" > "$4.partial"
  mv "$4.partial" "$4"
  rm "$4.usable"
}

# once RESULT COMMAND...: runs COMMAND unless RESULT is there
once() {
  local result=$1
  shift
  [ -e "$result" ] || "$@"
}
