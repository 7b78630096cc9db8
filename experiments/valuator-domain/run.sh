#!/usr/bin/env bash
# How many texts of another kind a valuator calls out of domain, and how many of its own. The detector was fixed before.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels

if [ ! -e "$runs/french" ]; then
  # Another language by package name.
  (cd "$runs" && apt-get download manpages-fr && dpkg-deb -x manpages-fr_*.deb french)
fi
python3 "$experiment/texts.py" "$labels/part-1.jsonl" "$data/wikitext2/test.jsonl.gz" "$runs/french" "$runs"
once "$runs/valuator" "$alinfik" train "$labels/labels-2.h5" --init "$model" --first-layers 1 --test-rows 0 --seed 1 \
  --output "$runs/valuator"
count() { "$alinfik" score "$1" "$2" --pooling first --json --quiet --force --output "$runs/scored.jsonl"; }
for kind in pool wikitext2 french shuffled base64; do
  count "$runs/valuator" "$runs/$kind.jsonl" > "$runs/$kind.json"
done

# A source at a time left out of training: how many of its rows are flagged.
for source in gsm8k toolformer code roleplay alpaca; do
  "$python" "$experiment/without_source.py" "$labels/labels-2.h5" "$source" "$runs/without-$source"
  once "$runs/valuator-$source" "$alinfik" train "$runs/without-$source.h5" --init "$model" --first-layers 1 \
    --test-rows 0 --seed 1 --output "$runs/valuator-$source"
  count "$runs/valuator-$source" "$runs/without-$source.jsonl" > "$runs/source-$source.json"
done
python3 - "$runs" > "$experiment/results.json" <<'PYTHON'
import json, pathlib, sys
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    summary = json.loads(path.read_text())
    found[path.stem] = {"rows": summary["scored"], "out of domain": round(summary["out_of_domain"] / summary["scored"], 3)}
print(json.dumps(found, indent=1))
PYTHON
cat "$experiment/results.json"
