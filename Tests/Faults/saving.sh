#!/usr/bin/env bash
# Kills a run that does little but save, with SIGKILL at random moments, and goes on with it each time: the newest checkpoint
# that goes by a checkpoint's name has to be whole, with the hashes of its manifest, to load, and to lead to the weights of an
# unbroken run. Prints a table, ends with 1 if anything is amiss.
#
# usage: Tests/Faults/saving.sh [--times N] [--seed S]      default 20 times: 1 minute on two cores; needs a release build
set -euo pipefail
script=$(realpath "$0") times=20
cd "$(dirname "$0")/../.."
. Tests/Faults/options.sh
"$program" sample --out "$folder/sample" --languages en,ru --sentences 60 --seed 5 2>/dev/null
cat >"$folder/run.yaml" <<'YAML'
task: token-classification
model: {family: bert, hidden_size: 128, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 512, max_position_embeddings: 128, type_vocab_size: 2}
tokenizer: sample/tokenizer
languages:
  en: {train: [sample/en.train.conll], dev: [sample/en.dev.conll]}
  ru: {train: [sample/ru.train.conll]}
per_step_sentences: 4
max_steps: 150
save_strategy: steps
save_steps: 1
save_total_limit: 2
load_best_model_at_end: true
eval_strategy: steps
eval_steps: 5
output_dir: out
YAML
run() { # OUT
  "$program" train "$folder/run.yaml" --out "$1" --resume auto --threads 1 </dev/null >"$folder/log" 2>&1
}
hash_of() { grep -ohE '"weightHash" *: *"[0-9a-f]+"' "$1"/train/result.json | grep -oE '[0-9a-f]{9,}'; }
run "$folder/whole"
whole=$(hash_of "$folder/whole")
echo "seed $seed; an unbroken run saves 150 times and ends with weights $whole"

out=$folder/out killed=0 saving=0 finished=0 failed=0
while ((killed < times)); do
  "$program" train "$folder/run.yaml" --out "$out" --resume auto --threads 1 </dev/null >"$folder/log" 2>&1 &
  job=$!
  sleep "$(printf '0.%03d' $((150 + RANDOM % 750)))"
  if kill -KILL "$job" 2>/dev/null && ! wait "$job" 2>/dev/null && [[ ! -e $out/train/result.json ]]; then
    killed=$((killed + 1))
    # What was being written, if anything was.
    if compgen -G "$out/train/.*partial*" >/dev/null || compgen -G "$out/train/.*replaced*" >/dev/null; then saving=$((saving + 1)); fi
  elif grep -q '^isogloss:' "$folder/log" || [[ ! -e $out/train/result.json ]]; then
    echo "FAILED: after $killed kills the run did not go on: $(grep '^isogloss:' "$folder/log")"
    failed=1
    break
  fi
  for checkpoint in "$out"/train/checkpoint-* "$out"/train/best "$out"/train/model; do
    [[ -e $checkpoint ]] || continue
    "$program" checkpoint verify "$checkpoint" >/dev/null 2>"$folder/verify" || {
      echo "FAILED: after $killed kills: $(cat "$folder/verify")"
      failed=1
    }
  done
  if [[ -e $out/train/result.json ]]; then
    finished=$((finished + 1))
    [[ $(hash_of "$out") == "$whole" ]] || {
      echo "FAILED: after $killed kills the run ended with weights $(hash_of "$out")"
      failed=1
    }
    rm -rf "$out"
  fi
done
if [[ -e $out && $failed == 0 ]]; then
  run "$out" || failed=1
  finished=$((finished + 1))
  [[ $(hash_of "$out") == "$whole" ]] || {
    echo "FAILED: the last run ended with weights $(hash_of "$out")"
    failed=1
  }
fi
printf '%d kills, %d of them with files half written; %d runs went on to their end, with the weights of an unbroken one%s\n' \
  "$killed" "$saving" "$finished" "$( ((failed)) && echo ': NOT ALL')"
exit "$failed"
