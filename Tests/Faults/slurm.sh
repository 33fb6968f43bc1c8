#!/usr/bin/env bash
# A run under sbatch, with srun and with mpirun, told once by a signal at a random moment to save, requeued and ended. Prints a row for
# each and ends with 1 if a job was not requeued once, failed, or has other weights than the unbroken run. One whose log has the last
# step of its last stage before the signal came was told too late: its row says so, and another job takes its place.
#
# usage: Tests/Faults/slurm.sh [--times N] [--signal USR1|TERM] [CONFIG [key=value …]]
#
# CONFIG is a run of 2 ranks; default a tiny one, about 3 minutes for N = 1 on two cores, with both signals. Configs/demo.yaml with one
# takes about 15. Needs a release build, or a program named by ISOGLOSS, and a Slurm with two free cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
times=1 signals=(USR1 TERM)
while [[ ${1:-} == --* ]]; do
  case $1 in
  --times) times=${2:?a number of times} ;;
  --signal) signals=("${2:?a signal}") ;;
  *)
    echo "unknown option $1" >&2
    exit 64
    ;;
  esac
  shift 2
done
program=$(realpath "${ISOGLOSS:-.build/release/isogloss}")
for command in sbatch srun scontrol sinfo; do
  command -v "$command" >/dev/null || { echo "skipped: no $command, so no Slurm here"; exit 0; }
done
timeout 10 sinfo >/dev/null 2>&1 || { echo "skipped: no Slurm answers here"; exit 0; }
[[ $(srun --mpi=list 2>&1) == *pmix* ]] || { echo "skipped: this Slurm has no pmix"; exit 0; }

# Where all nodes see it, if they see this project.
mkdir -p .build
folder=$(mktemp -d -p "$PWD/.build" slurm.XXXXXX)
job=''
finish() {
  [[ -z $job ]] || scancel "$job" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if (($#)); then
  config=$1
  shift
  if [[ $config == Configs/demo.yaml && ! -d Configs/sample ]]; then "$program" sample --out Configs/sample 2>/dev/null; fi
else
  config=$folder/run.yaml
  "$program" sample --out "$folder/sample" --languages en,ru,zh --sentences 240 --seed 5 2>/dev/null
  cat Tests/Ranks/tiny.yaml - >"$config" <<'YAML'
warmup_ratio: 0.05
logging_steps: 20
stages:
  - {name: first, max_steps: 1500}
  - {name: second, init: first, max_steps: 1500}
YAML
fi

# The weights of every stage in a run, as one line.
hashes() { # DIR
  (cd "$1" && find . -name result.json | sort | xargs -r grep -oHE '"weightHash" *: *"[0-9a-f]+"' | sha256sum)
}
# One field of the job, as Slurm knows it: of a loaded machine it does not always answer.
field() { # NAME
  local answer
  until answer=$(scontrol show job "$job" 2>&1); do
    [[ $answer != *"Invalid job id"* ]] || return 0
    sleep 1
  done
  tr ' ' '\n' <<<"$answer" | sed -n "s/^$1=//p" | head -1
}
state() { field JobState; }
reported() { cat "$1" 2>/dev/null | grep -cE ' step [0-9]+/' || true; }
# The stages whose last step is reported in a log before its line about a signal, or before its end.
done_before() { # LOG
  cat "$1" 2>/dev/null | sed '/ came, [A-Z0-9]* goes to the ranks/,$d' | grep -cE ' step ([0-9]+)/\1,' || true
}
begun() { cat "$1" 2>/dev/null | grep -c ': start [0-9]*, ' || true; }

Launch/mpirun -n 2 --threads 1 "$program" train "$config" "$@" --out "$folder/unbroken" --resume auto >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
lines=$(reported "$folder/log")
stages=$(done_before "$folder/log")
expected=$(hashes "$folder/unbroken")
[[ -n $(find "$folder/unbroken" -name result.json) ]] || { echo "the unbroken run has left no result.json"; exit 1; }
echo "unbroken: weights ${expected:0:16}"
((lines >= 10)) || { echo "the unbroken run reports $lines times only; lower logging_steps"; exit 1; }

# Runs one job and prints its row; false if something is wrong, 2 if it was told too late.
try() { # LAUNCHER SIGNAL
  local out=$folder/$1-$2 log=$folder/$1-$2.log moment step ended restarts equal told came
  rm -rf "$out" "$log"
  # From a tenth to nine tenths of the run, by the lines it reports: machines are not as fast at all times.
  moment=$((lines / 10 + RANDOM % (8 * lines / 10 + 1)))
  job=$(env LAUNCHER="$1" ISOGLOSS="$program" sbatch --parsable --nodes=1 --ntasks-per-node=2 --cpus-per-task=1 --output="$log" \
    Launch/slurm.sbatch "$config" "${overrides[@]}" "output_dir=$out")
  while (($(reported "$log") < moment)) && [[ $(state) =~ ^(PENDING|CONFIGURING|RUNNING)$ ]]; do sleep 0.1; done
  told=yes
  until scancel "--signal=$2" --batch "$job"; do
    [[ $(state) == RUNNING ]] || { told=no; break; }
    sleep 1
  done
  # A signal that was sent and did not come is lost, not late.
  [[ $told == no ]] || grep -q ' came, [A-Z0-9]* goes to the ranks' "$log" || sleep 5
  grep -q ' came, [A-Z0-9]* goes to the ranks' "$log" && came=yes || came=no
  # A requeued job begins two minutes later, so that its first start is gone for certain: here after three seconds.
  while [[ $(begun "$log") == 1 && $(state) =~ ^(PENDING|RUNNING|COMPLETING|REQUEUE.*)$ ]]; do
    if [[ $(state) == PENDING ]]; then
      sleep 3
      scontrol update "JobId=$job" StartTime=now 2>/dev/null || true
    fi
    sleep 0.5
  done
  while [[ $(state) =~ ^(PENDING|CONFIGURING|RUNNING|COMPLETING)$ ]]; do sleep 0.5; done
  ended=$(state) restarts=$(field Restarts)
  step=$(sed -nE 's/.*saved at (step [0-9]+).*/\1/p' "$log" | head -1)
  [[ $(hashes "$out" 2>/dev/null) == "$expected" ]] && equal=yes || equal=NO
  job=''
  if [[ $told$came != yesno && $restarts == 0 && $ended == COMPLETED && $equal == yes && $(done_before "$log") == "$stages" ]]; then
    printf '%-8s %-6s %s\n' "$1" "$2" "told too late, after its last step"
    return 2
  fi
  printf '%-8s %-6s %-12s %-9s %-10s %s\n' "$1" "$2" "${step:-?}" "$restarts" "$ended" "$equal"
  [[ $restarts == 1 && $ended == COMPLETED && $equal == yes ]] && return
  grep -vE ' step [0-9]+/' "$log" | tail -n 40 | sed 's/^/  | /'
  return 1
}

overrides=("$@")
failed=0
printf '%-8s %-6s %-12s %-9s %-10s %s\n' launcher signal 'saved at' requeued ended 'weights equal'
for ((time = 0; time < times; time++)); do
  for signal in "${signals[@]}"; do
    for launcher in srun mpirun; do
      # A machine that is late again and again fails.
      for attempt in 1 2 3; do
        code=0
        try "$launcher" "$signal" || code=$?
        ((code == 2 && attempt < 3)) || break
      done
      ((code == 0)) || failed=$((failed + 1))
    done
  done
done
if ((failed)); then echo "$failed jobs failed"; else echo "all jobs went on to the weights of the unbroken run"; fi
((failed == 0))
