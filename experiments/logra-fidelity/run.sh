#!/usr/bin/env bash
# Exact `dot` labels of 500 rows against their LoGra estimates at a few ranks. Writes results.json here.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 100 1 "$runs/sample.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
label() {
  local output=$1
  shift
  once "$output" "$alinfik" label --model "$model" --target "$runs/target.jsonl" --sample "$runs/sample.jsonl" \
    --max-tokens 192 --seed 1 --output "$output" "$@"
}
label "$runs/dot.h5" --kind dot
for rank in 34; do
  label "$runs/random-$rank.h5" --kind dot --projection random --rank "$rank"
  "$python" "$repository/experiments/agreement.py" "$runs/dot.h5" "$runs/random-$rank.h5" > "$runs/random-$rank.json"
done
"$python" - "$runs" > "$experiment/results.json" <<'END'
import json, pathlib, sys
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*-*.json")):
    result = json.loads(path.read_text())
    rank = int(path.stem.split("-")[1])
    # SmolLM2-135M: 30 blocks of 7 watched layers; rank x rank numbers a layer, stored as f16
    result["projected_bytes_per_sample"] = 30 * 7 * rank * rank * 2
    result.pop("bytes")
    found[path.stem] = result
print(json.dumps(found, indent=2))
END
cat "$experiment/results.json"
