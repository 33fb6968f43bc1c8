#!/usr/bin/env bash
# What Launch/supervise makes of each exit code and signal, with commands that only end so. Prints a row for each and ends with 1 if
# any is wrong. Some ten seconds; needs nothing built.
#
# usage: Tests/Faults/supervise.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Ends with the next code of a file of codes, and notes that it ran.
cat >"$folder/next" <<'BASH'
#!/usr/bin/env bash
folder=$(dirname "$0")
read -r code <"$folder/codes"
sed -i 1d "$folder/codes"
echo >>"$folder/runs"
exit "$code"
BASH
# Runs until a signal: INT is answered with 130, USR1 and USR2 with 75, others end it.
cat >"$folder/wait" <<'BASH'
#!/usr/bin/env bash
trap 'exit 130' INT
trap 'exit 75' USR1 USR2
trap 'exit 143' TERM HUP
echo >>"$(dirname "$0")/runs"
for ((i = 0; i < 200; i++)); do sleep 0.05; done
BASH
chmod +x "$folder/next" "$folder/wait"

failed=0
row() { # WHAT CODE RUNS EXPECTED-CODE EXPECTED-RUNS
  local verdict=ok
  [[ $2 == "$4" && $3 == "$5" ]] || { verdict="WRONG, expected $4 after $5 runs" failed=1; }
  printf '%-26s %-5s %-5s %s\n' "$1" "$2" "$3" "$verdict"
}
runs() { if [[ -f $folder/runs ]]; then wc -l <"$folder/runs"; else echo 0; fi; }

printf '%-26s %-5s %-5s\n' 'codes or signal' ended runs
codes() { # EXPECTED-CODE EXPECTED-RUNS CODE…
  local code=0 expected=$1 count=$2
  shift 2
  printf '%s\n' "$@" >"$folder/codes"
  rm -f "$folder/runs"
  Launch/supervise --restarts 2 --wait 0 -- "$folder/next" --resume auto 2>/dev/null || code=$?
  row "$*" "$code" "$(runs)" "$expected" "$count"
}
for code in 0 64 65 66 69 75 78 126 127 130 143; do codes "$code" 1 "$code" 0 0; done
for code in 1 70 74 134 137 139; do
  codes 0 2 "$code" 0
  codes "$code" 3 "$code" "$code" "$code"
done
codes 75 3 137 70 75

signal() { # SIGNAL EXPECTED-CODE COMMAND EXPECTED-RUNS
  local code=0 job
  rm -f "$folder/runs"
  printf '70\n' >"$folder/codes"
  # With job control, or INT would be ignored in the background.
  set -m
  Launch/supervise --wait 9 -- "$folder/$3" --resume auto 2>/dev/null &
  job=$!
  set +m
  until [[ -s $folder/runs ]]; do sleep 0.05; done
  sleep 0.3
  kill "-$1" "$job"
  wait "$job" || code=$?
  row "SIG$1 $([[ $3 == wait ]] && echo 'while it runs' || echo 'between runs')" "$code" "$(runs)" "$2" "$4"
}
# Who was started with SIGINT ignored, as background jobs of scripts are, cannot undo that, nor can its children.
ignored=$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status)
for command in wait next; do
  if ((0x$ignored & 2)); then
    echo "SIGINT                     skipped: it is ignored here"
  else
    signal INT 130 "$command" 1
  fi
  signal TERM 143 "$command" 1
  signal USR1 75 "$command" 1
  signal USR2 75 "$command" 1
done

code=0
rm -f "$folder/runs"
Launch/supervise -- "$folder/next" 2>/dev/null || code=$?
row 'no --resume auto' "$code" "$(runs)" 64 0
exit "$failed"
