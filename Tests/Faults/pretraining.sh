#!/usr/bin/env bash
# Kills masked-lm runs over packed text with SIGKILL at random moments, in the middle of an epoch, and goes on with each on
# another number of ranks (1, 2 or 4): the weights have to be those of an unbroken run of one rank, bit for bit. Prints a table,
# ends with 1 if anything is amiss.
#
# usage: Tests/Faults/pretraining.sh [--times N] [--seed S]     default 10 kills: 1 minute on two cores; needs a release build
set -euo pipefail
script=$(realpath "$0") times=10
cd "$(dirname "$0")/../.."
. Tests/Faults/options.sh
"$program" sample --out "$folder/sample" --languages en,ru --sentences 1000 --seed 5 2>/dev/null
for language in en ru; do
  awk -F'\t' 'NF < 2 { if (text != "") { print text; if (++n % 7 == 0) print ""; text = "" } next }
    { text = text (text == "" ? "" : " ") $1 }' "$folder/sample/$language.train.conll" >"$folder/$language.txt"
done
"$program" data pack --input "$folder/en.txt" "$folder/ru.txt" --tokenizer "$folder/sample/tokenizer" --dev-every 20 \
  --shard-tokens 1000 --out "$folder/text" >/dev/null 2>&1
cat >"$folder/run.yaml" <<'YAML'
task: masked-lm
model: {family: bert, hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 256, max_position_embeddings: 128, type_vocab_size: 2}
tokenizer: sample/tokenizer
max_length: 32
languages:
  en: {train: [text/en/train], dev: [text/en/dev]}
  ru: {train: [text/ru/train], dev: [text/ru/dev]}
sampling_alpha: 0.5
full_determinism: true
learning_rate: 1.0e-3
per_step_sentences: 16
max_steps: 300
save_strategy: steps
save_steps: 17
save_total_limit: 2
eval_strategy: steps
eval_steps: 50
output_dir: out
YAML
hash_of() { grep -ohE '"weightHash" *: *"[0-9a-f]+"' "$1"/train/result.json | grep -oE '[0-9a-f]{9,}'; }
start=$(date +%s%N)
"$program" train "$folder/run.yaml" --out "$folder/whole" --threads 1 </dev/null >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
milliseconds=$((($(date +%s%N) - start) / 1000000))
whole=$(hash_of "$folder/whole")
echo "seed $seed; an unbroken run of one rank takes $milliseconds ms and ends with weights $whole"

out=$folder/out killed=0 finished=0 failed=0 counts=(1 2 4)
while ((killed < times && !failed)); do
  ranks=${counts[RANDOM % 3]}
  Launch/mpirun -n "$ranks" --threads 1 "$program" train "$folder/run.yaml" --out "$out" --resume auto </dev/null >"$folder/log" 2>&1 &
  job=$!
  sleep "$(printf '%d.%03d' $(((800 + RANDOM % milliseconds) / 1000)) $((RANDOM % 1000)))"
  if [[ ! -e $out/train/result.json ]] && pkill -KILL -f -- "train $folder/run.yaml --out $out" && ! { wait "$job"; } 2>/dev/null; then
    killed=$((killed + 1))
    continue
  fi
  { wait "$job"; } 2>/dev/null || true
  if [[ ! -e $out/train/result.json ]]; then
    echo "FAILED: after $killed kills the run did not go on: $(grep '^isogloss:' "$folder/log")"
    failed=1
  elif [[ $(hash_of "$out") != "$whole" ]]; then
    echo "FAILED: after $killed kills, the last time on $ranks ranks, the weights are $(hash_of "$out")"
    failed=1
  else
    finished=$((finished + 1))
    rm -rf "$out"
  fi
done
if ((!failed)) && [[ -e $out ]]; then
  "$program" train "$folder/run.yaml" --out "$out" --resume auto --threads 2 </dev/null >"$folder/log" 2>&1 || true
  if [[ -e $out/train/result.json && $(hash_of "$out") == "$whole" ]]; then
    finished=$((finished + 1))
  else
    echo "FAILED: the last run: $(grep '^isogloss:' "$folder/log")"
    failed=1
  fi
fi
echo "killed $killed times on 1, 2 or 4 ranks; $finished runs ended, with the weights of the unbroken one"
exit $failed
