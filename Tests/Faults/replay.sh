#!/usr/bin/env bash
# Trains on 4 ranks under mpirun with log_gradients, then replays random pairs of rank and step on one machine: each has to give
# the logged hash. Prints a row for each, ends with 1 if one differs.
#
# usage: Tests/Faults/replay.sh [--times N] [--seed S]      default 10 pairs: half a minute on two cores; needs a release build
set -euo pipefail
script=$(realpath "$0") times=10
cd "$(dirname "$0")/../.."
. Tests/Faults/options.sh
"$program" sample --out "$folder/sample" --languages en,ru,zh --sentences 120 --seed 5 2>/dev/null
cat Tests/Ranks/tiny.yaml - >"$folder/run.yaml" <<'YAML'
max_steps: 200
save_strategy: steps
save_steps: 50
log_gradients: true
logging_steps: 100
YAML
Launch/mpirun -n 4 --threads 1 "$program" train "$folder/run.yaml" </dev/null >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
echo "seed $seed"
failed=0
for ((pair = 0; pair < times; pair++)); do
  rank=$((RANDOM % 4)) step=$((RANDOM % 200 + 1))
  if "$program" replay "$folder/out" --rank "$rank" --step "$step" --threads 1 </dev/null >"$folder/replay" 2>&1; then
    verdict=equal
  else
    verdict='DIFFERS' failed=1
  fi
  printf 'rank %d, step %3d: %s  %s\n' "$rank" "$step" "$verdict" "$(grep -m1 -o 'hash.*' "$folder/replay")"
done
exit "$failed"
