#!/usr/bin/env bash
# The demo's config on one rank and on four namespaces of this machine, under full_determinism: the same scores and weights are
# wanted. Needs root, iproute2 and ../shared; says so and does nothing elsewhere.
#
# usage: Tests/Ranks/demo.sh [KEY=VALUE…]        about 10 minutes on two cores; a release build
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=../shared/cluster/netns-cluster
if [[ $(id -u) -ne 0 || ! -x $cluster ]]; then
  echo "skipped: needs root and $cluster" >&2
  exit 0
fi
program=$PWD/.build/release/isogloss
folder=$(mktemp -d)
trap 'rm -rf "$folder"; "$cluster" down 4 2>/dev/null' EXIT
"$program" sample --out "$folder/sample" 2>/dev/null
cp Configs/demo.yaml "$folder/demo.yaml"
export ISOGLOSS_THREADS=1
"$cluster" up 4 1gbit
for ranks in 1 4; do
  command=("$program" train "$folder/demo.yaml" full_determinism=true "$@" --out "$folder/run-$ranks")
  if ((ranks == 1)); then
    "${command[@]}" </dev/null >"$folder/log-$ranks" 2>&1 || { tail "$folder/log-$ranks"; exit 1; }
  else
    "$cluster" run 4 --bind-to none -x ISOGLOSS_THREADS "${command[@]}" </dev/null >"$folder/log-$ranks" 2>&1 || { tail "$folder/log-$ranks"; exit 1; }
  fi
  (cd "$folder/run-$ranks" && grep -HE '"(f1|precision|recall|weightHash)"' */result.json) >"$folder/scores-$ranks"
  grep -A 12 '^test F1' "$folder/log-$ranks" || true
done
echo "$(wc -l <"$folder/scores-1") scores and hashes"
cmp "$folder/scores-1" "$folder/scores-4" && echo "four hosts give those of one rank"
