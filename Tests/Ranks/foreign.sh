#!/usr/bin/env bash
# A task that nothing in Sources knows (Tests/ForeignTask), in a recipe of three stages: it trains, its model labels files, and
# it trains again on what came of that. Under full_determinism weights and files must be the same on 1, 2 and 4 ranks over MPI,
# with the plain and the sharded optimiser, and after a run that was killed and continued. A step is replayed, and help, dry run,
# doctor, estimate, predict, evaluate and verify must know the task. Ends with 1 at the first check that fails.
#
# usage: Tests/Ranks/foreign.sh        about a minute on two cores; needs a release build
set -euo pipefail
cd "$(dirname "$0")/../.."
program=$PWD/.build/release/isogloss-foreign
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
checks=0

fail() {
  echo "foreign: $1" >&2
  [[ -z ${2:-} ]] || tail -5 "$2" >&2
  exit 1
}
check() { # WORDS COMMAND…: the command must succeed
  local words=$1
  shift
  "$@" </dev/null >"$folder/log" 2>&1 || fail "$words: exit code $?" "$folder/log"
  checks=$((checks + 1))
}
says() { # TEXT WORDS: the last log must hold the text
  grep -qF -- "$1" "$folder/log" || fail "$2 does not say '$1'" "$folder/log"
  checks=$((checks + 1))
}

"$program" sample --out "$folder/sample" --languages en,ru --sentences 160 --seed 5 2>/dev/null
cat >"$folder/run.yaml" <<'YAML'
task: hashed-tagging
hash_buckets: 300
languages:
  en: {train: [sample/en.train.conll], dev: [sample/en.dev.conll], test: [sample/en.test.conll]}
  ru: {train: [sample/ru.train.conll], dev: [sample/ru.dev.conll], test: [sample/ru.test.conll]}
output_dir: out
full_determinism: true
learning_rate: 1.0e-2
per_step_sentences: 24
max_steps: 40
logging_steps: 10
log_gradients: true
eval_strategy: steps
eval_steps: 20
load_best_model_at_end: true
save_strategy: steps
save_steps: 10
stages:
  - {name: first, languages: [en]}
  - {name: labelled, task: predict, init: first, languages: [ru], soft_labels: true}
  - {name: second, init: first, train: ["stage:labelled"], languages: [ru], inner_learning_rate: 0.05}
YAML

check 'help' "$program" train --help-config
says 'Keys of task hashed-tagging' 'help'
says 'inner_learning_rate' 'help'
check 'dry run' "$program" train "$folder/run.yaml" --dry-run
says "second: known after 'labelled'" 'the dry run'
says 'first: 40 steps' 'the dry run'
"$program" doctor "$folder/run.yaml" </dev/null >"$folder/log" 2>&1 || true
says "known later: 'labelled' after 'first', 'second' after 'labelled'" 'doctor'
check 'estimate' "$program" estimate "$folder/run.yaml" --nodes 1,2 --threads 1 --steps 2
says "known later, and not counted: 'labelled' after 'first', 'second' after 'labelled'" 'estimate'
if "$program" train "$folder/run.yaml" target_peak=2 --dry-run </dev/null >"$folder/log" 2>&1; then fail 'target_peak 2 was taken'; fi
says "override 'target_peak=2':1:13: target_peak: must be from 0.5 to 1.0" 'a wrong key'

# Weights of both stages, and the hashes of the files that the stage between made.
results() {
  grep -ohE '"weightHash" *: *"[0-9a-f]+"' "$1"/first/result.json "$1"/second/result.json
  (cd "$1/labelled/corpus" && sha256sum ru.conll ru.safetensors)
}
train() { # RANKS OUT ARGUMENTS…
  local ranks=$1 out=$2
  shift 2
  Launch/mpirun -n "$ranks" --threads 1 "$program" train "$folder/run.yaml" "$@" --out "$out"
}

first=''
for sharded in false true; do
  for ranks in 1 2 4; do
    out=$folder/out-$ranks-$sharded
    check "$ranks ranks, sharded $sharded" train "$ranks" "$out" shard_optimizer=$sharded
    found=$(results "$out")
    first=${first:-$found}
    [[ $found == "$first" ]] || fail "$ranks ranks, sharded $sharded: other bits"$'\n'"$found"$'\n'"$first"
  done
done

# Killed while the first stage trains, while it is about to end, and again and again until it is through.
out=$folder/killed kills=0 seconds=0.3
until grep -q weightHash "$out/second/result.json" 2>/dev/null; do
  ((kills < 60)) || fail 'the run does not come to its end' "$folder/log"
  train 2 "$out" --resume auto </dev/null >"$folder/log" 2>&1 &
  sleep "$seconds"
  # Each attempt lives a little longer than the one before.
  seconds=$(awk "BEGIN { print $seconds * 1.05 }")
  if pkill -KILL -f "isogloss-foreign train $folder/run.yaml" 2>/dev/null; then kills=$((kills + 1)); fi
  wait $! 2>/dev/null || true
done
[[ $(results "$out") == "$first" ]] || fail "killed $kills times: other bits"
checks=$((checks + 1))

for pair in '0 7' '1 33'; do
  read -r rank step <<<"$pair"
  check "replay of rank $rank, step $step" "$program" replay "$folder/out-2-true" --stage second --rank "$rank" --step "$step" --threads 1
  says 'equal to the logged hash' 'replay'
done

# Reports that cannot be written end no run.
"$program" train "$folder/run.yaml" --threads 1 --out "$folder/full" </dev/null >/dev/null 2>/dev/full || fail 'a full standard error ended the run'
[[ $(results "$folder/full") == "$first" ]] || fail 'a full standard error: other bits'
checks=$((checks + 1))
# Another teacher than the one that the corpus is of, and a corpus that was cut.
echo >>"$folder/full/first/model/isogloss.json"
check 'a run that is complete' "$program" train "$folder/run.yaml" --resume auto --out "$folder/full"
says 'labelled: was made from other files than the earlier stages hold now' 'the resumed run'
truncate -s -1 "$folder/full/labelled/corpus/ru.conll"
check 'a corpus that is made again' "$program" train "$folder/run.yaml" --resume auto --out "$folder/full"
says 'the stage is run again' 'the resumed run'

model=$folder/out-1-false/second/model
check 'verify' "$program" checkpoint verify "$model"
check 'verify of a corpus' "$program" checkpoint verify "$folder/out-1-false/labelled/corpus"
check 'predict' "$program" predict "$model" --input "$folder/sample/ru.test.conll" --output "$folder/tagged.conll"
[[ $(grep -c . "$folder/tagged.conll") -eq $(grep -c . "$folder/sample/ru.test.conll") ]] || fail 'predict: other words'
check 'evaluate' "$program" evaluate "$model" --data "$folder/sample/ru.test.conll"
says 'accuracy' 'evaluate'
grep -qF 'A tagger of hashed words' "$model/README.md" || fail 'the card does not say what the model is'
echo "$checks checks of a foreign task, killed $kills times"
