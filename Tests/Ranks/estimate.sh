#!/usr/bin/env bash
# Predicted and real steps of a config over namespaces of this machine: for each number of nodes `isogloss estimate` on one host,
# then the run. Needs root, iproute2 and ../shared; says so and does nothing elsewhere. Other work on the machine shows.
#
# usage: Tests/Ranks/estimate.sh [RATE] [KEY=VALUE…]        default 1gbit; a release build
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=../shared/cluster/netns-cluster
if [[ $(id -u) -ne 0 || ! -x $cluster ]]; then
  echo "skipped: needs root and $cluster" >&2
  exit 0
fi
rate=${1:-1gbit}
shift || true
program=$PWD/.build/release/isogloss
shared=$(cd ../shared && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"; "$cluster" down 4 2>/dev/null' EXIT
cat >"$folder/run.yaml" <<YAML
task: token-classification
init: $shared/checkpoints/all-minilm-l6-v2
languages:
  en: {train: [$shared/data/ner/conll/en.train.conll]}
max_length: 256
per_step_sentences: 32
max_steps: 24
learning_rate: 1.0e-4
warmup_ratio: 0.1
logging_steps: 1000
save_strategy: "no"
output_dir: out
YAML
export ISOGLOSS_THREADS=1
gigabits=${rate%gbit}
for nodes in 2 4; do
  out=$folder/out-$nodes
  "$program" estimate "$folder/run.yaml" "$@" output_dir="$out" --nodes "$nodes" --threads 1 --steps 20 --one-machine \
    --bandwidth "$gigabits" --latency 50 --save >/dev/null 2>"$folder/log" || { cat "$folder/log"; exit 1; }
  "$cluster" up "$nodes" "$rate"
  "$cluster" run "$nodes" --bind-to none -x ISOGLOSS_THREADS "$program" train "$folder/run.yaml" "$@" --out "$out" \
    </dev/null >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
  "$cluster" down "$nodes"
  echo "$nodes namespaces, $rate $*: $(grep -o 'predicted.*' "$folder/log")"
done
