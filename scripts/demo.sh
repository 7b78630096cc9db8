#!/usr/bin/env bash
# The whole loop on real text: label, train, score, compare. `make demo` builds and then calls this.
# Results go to runs/demo; a stage whose result is there is not run again unless --force is given.
set -euo pipefail
cd "$(dirname "$0")/.."

run=runs/demo
model=.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
data=.cache/demo
max_tokens=128

case "${1:-}" in
  "") ;;
  --force) rm -rf "$run" ;;
  *) echo "usage: scripts/demo.sh [--force]" >&2; exit 64 ;;
esac
# Some images pin OpenBLAS to an older instruction set, which halves its speed.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

scripts/fetch-models smollm2 corpora
[ -f "$data/unseen.jsonl" ] && [ "$data/unseen.jsonl" -nt scripts/make-demo-corpus.py ] ||
  scripts/make-demo-corpus.py
for made in "$run"/labels.h5*; do
  if [ "$data/sample.jsonl" -nt "$made" ] && [ -e "$made" ]; then
    echo "== the texts are newer than $made: starting over" >&2
    rm -rf "$run"
  fi
done
mkdir -p "$run"
[ -x .build/release/alinfik ] || swift build -c release --product alinfik

timings=()
# stage TITLE RESULT COMMAND...: runs COMMAND unless RESULT is there, and notes how long it took
stage() {
  local title=$1 result=$2
  shift 2
  if [ -e "$result" ]; then
    echo "== $title: $result is there from an earlier run (make demo FORCE=1 starts over)" >&2
    timings+=("$title kept")
    return
  fi
  echo "== $title: alinfik $*" >&2
  local started=${EPOCHREALTIME/,/.}
  .build/release/alinfik "$@"
  timings+=("$title $(LC_ALL=C awk -v a="$started" -v b="${EPOCHREALTIME/,/.}" 'BEGIN { printf "%.0f s", b - a }')")
}

resume=()
[ ! -e "$run/labels.h5.partial" ] || resume=(--resume)
stage label "$run/labels.h5" label --model "$model" --target "$data/target.jsonl" \
  --sample "$data/sample.jsonl" --output "$run/labels.h5" --max-tokens "$max_tokens" --precision bf16 \
  --target-description "32 held-out posts of sci.space" "${resume[@]}"
stage train "$run/valuator" train "$run/labels.h5" --output "$run/valuator" --init "$model" \
  --size small --test-rows 100
stage score "$run/scored.jsonl" score "$run/valuator" "$data/unseen.jsonl" --output "$run/scored.jsonl"
stage compare "$run/report/report.html" compare --model "$model" --target "$data/target.jsonl" \
  --sample "$data/sample.jsonl" --labels "$run/labels.h5" --valuator "$run/valuator" \
  --max-tokens "$max_tokens" --target-description "32 held-out posts of sci.space" --oracle-targets 4 \
  --output "$run/report"

python3 - "$run/scored.jsonl" <<'END'
import json, shutil, sys

with open(sys.argv[1], encoding="utf-8") as file:
    records = [json.loads(line) for line in file]
records.sort(key=lambda record: -record["alinfik_score"])
width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 140))


def show(title, chosen):
    print(f"\n{title}")
    for record in chosen:
        line = f"  {record['alinfik_score']:+9.3f}  {record['source']:<16} {' '.join(record['text'].split())}"
        print(line if len(line) <= width else line[: width - 1] + "…")


print(f"\n{len(records)} texts the model never read, ranked by the valuator (positive: worth training on)")
show("best five", records[:5])
show("worst five", records[-5:])
END

echo
printf '%s\n' "${timings[@]}" | awk '{ printf "  %-8s %s\n", $1, substr($0, length($1) + 2) }'
echo
echo "report: $PWD/$run/report/report.html"
