#!/usr/bin/env bash
# Fine-tunes SmolLM2 on what each mode of `alinfik select` chooses from the instruct pool, and takes the loss on report rows. In bf16;
# about a minute a training and five minutes of labels a pool where the processor has AMX, four times as long elsewhere. POOLS="1 2 3"
# and MODES name what is done; goes on where it stopped. What experiments/retention has made already is taken from there.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
setting() { "$python" -c "import json, sys; v = json.load(open('$experiment/config.json'))['$1']; print(*v if isinstance(v, list) else [v])"; }
tokens=$(setting max_tokens)
steps=$(setting steps)
common=(--model "$model" --max-tokens "$tokens" --precision bf16)
retention=$repository/runs/retention

# taken NAME: from experiments/retention, whose rows and labels are the same
taken() { [ -e "$runs/$1" ] || [ ! -e "$retention/$1" ] || cp -r "$retention/$1" "$runs/$1"; }
for name in report.jsonl target.jsonl usable.jsonl part-2.jsonl part-3.jsonl pool-1.jsonl pool-2.jsonl pool-3.jsonl part-2.h5 valuator \
  linfik-1.h5 linfik-2.h5 linfik-3.h5; do taken "$name"; done

rows "$data/instruct/report.jsonl" 40 1 "$runs/report.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
usable "$data/instruct/pool.jsonl" "$runs/usable.jsonl"
once "$runs/part-3.jsonl" python3 "$experiment/../valuator-labels/by_hash.py" "$runs/usable.jsonl" 1500 2000 "$runs/part"
once "$runs/pool-3.jsonl" "$python" "$experiment/../retention/choose.py" pools "$runs/part-3.jsonl" "$runs"

# label NAME SAMPLE
label() {
  local output=$runs/$1.h5 resume=()
  [ ! -e "$output.partial" ] || resume=(--resume)
  once "$output" "$alinfik" label "${common[@]}" --target "$runs/target.jsonl" --sample "$2" --output "$output" "${resume[@]}"
}
label part-2 "$runs/part-2.jsonl"
# With the labelled rows' texts apart: diversity wants the valuator's embeddings, which it carries.
once "$runs/valuator" "$alinfik" train "$runs/part-2.h5" --init "$model" --size small --seed 1 --output "$runs/valuator"

mkdir -p "$runs/scored" "$runs/chosen"
for pool in ${POOLS:-$(setting pools)}; do
  label "linfik-$pool" "$runs/pool-$pool.jsonl"
  once "$runs/scored/value-$pool.jsonl" "$alinfik" score "$runs/valuator" "$runs/pool-$pool.jsonl" --quiet \
    --output "$runs/scored/value-$pool.jsonl"
  once "$runs/scored/labels-$pool.jsonl" "$python" "$experiment/modes.py" "$runs" "$pool" "$runs/target.jsonl"
  # The budget: a share of the pool's tokens, counted as training reads them.
  counted=(--tokenizer "$model" --max-tokens "$tokens")
  budget=$("$alinfik" select "$runs/scored/value-$pool.jsonl" --rows 1G "${counted[@]}" --duplicates keep --output /dev/null \
    --json --quiet 2> /dev/null | "$python" -c "import json, sys; print(int($(setting share) * json.load(sys.stdin)['tokens']))")
  for mode in ${MODES:-$(setting modes)}; do
    scored=$runs/scored/$mode-$pool.jsonl
    options=()
    if [ "$mode" = diverse ]; then
      scored=$runs/scored/value-$pool.jsonl
      options=(--diversity "$(setting diversity)" --valuator "$runs/valuator")
    fi
    chosen=$runs/chosen/$mode-$pool
    once "$chosen.json" bash -c '"$@" > "$0.partial" && mv "$0.partial" "$0"' "$chosen.json" \
      "$alinfik" select "$scored" --tokens "$budget" "${counted[@]}" "${options[@]}" --output "$chosen.jsonl" \
      --rejects "$chosen.rejects.jsonl" --force --json --quiet
    result=$runs/trained-$mode-$pool.json
    [ ! -e "$result" ] || continue
    count=$(wc -l < "$chosen.jsonl")
    "$alinfik" finetune "${common[@]}" --data "$chosen.jsonl" --validation "$runs/report.jsonl" --epochs 2 --steps "$steps" \
      --batch-rows $(((count + steps / 2) / steps)) --learning-rate "$(setting learning_rate)" --schedule constant --warm-up 0 \
      --seed "$pool" --quiet --validate-at "$steps" --output "$runs/trained" --force
    mv "$runs/trained/finetune.json" "$result"
    rm -r "$runs/trained"
  done
done
"$python" "$experiment/losses.py" "$runs" "$experiment"
