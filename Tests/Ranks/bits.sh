#!/usr/bin/env bash
# The weights after some steps under full_determinism: for 1, 2, 3, 4 and 8 ranks over MPI and simulated, 1 and 2 threads, fp32 and
# bf16 products, the plain and the sharded optimiser. Prints a hash for each and ends with 1 if any differs from the others of its
# precision. On a machine that does not multiply bf16, it is emulated.
#
# usage: Tests/Ranks/bits.sh [STEPS]        default 200; about 10 minutes on two cores. Needs a release build.
set -euo pipefail
cd "$(dirname "$0")/../.."
steps=${1:-200}
program=$PWD/.build/release/isogloss
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" sample --out "$folder/sample" --languages en,ru,zh --sentences 240 --seed 5 2>/dev/null
cat Tests/Ranks/tiny.yaml - >"$folder/run.yaml" <<'YAML'
warmup_ratio: 0.05
logging_steps: 1000
save_strategy: "no"
full_determinism: true
YAML
# Findings are no failure here.
if { "$program" doctor || true; } | grep -q "no instructions"; then export ISOGLOSS_BF16=emulate; fi

failed=0
printf '%-9s %-9s %5s %7s  %-8s %s\n' precision ranks count threads sharded hash
for precision in fp32 bf16; do
  first=''
  for ranks in 1 2 3 4 8; do
    for kind in mpi simulated; do
      for threads in 1 2; do
        for sharded in false true; do
          out=$folder/out
          rm -rf "$out"
          arguments=(train "$folder/run.yaml" "max_steps=$steps" "precision=$precision" "shard_optimizer=$sharded" --out "$out")
          if [[ $kind == mpi ]]; then
            Launch/mpirun -n "$ranks" --threads "$threads" "$program" "${arguments[@]}" </dev/null >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
          else
            "$program" "${arguments[@]}" --simulate-ranks "$ranks" --threads "$threads" </dev/null >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
          fi
          hash=$(grep -ohE '"weightHash" *: *"[0-9a-f]+"' "$out"/*/result.json | grep -oE '[0-9a-f]{9,}')
          first=${first:-$hash}
          printf '%-9s %-9s %5d %7d  %-8s %s\n' "$precision" "$kind" "$ranks" "$threads" "$sharded" "$hash"
          [[ $hash == "$first" ]] || failed=1
        done
      done
    done
  done
done
if ((failed)); then echo "hashes differ"; else echo "one hash for each precision"; fi
exit "$failed"
