#!/usr/bin/env bash
# Makes ranks fail at random moments and looks at what comes of it: that the run ends within its time-out, with one line
# beginning `isogloss:` that names the right rank and cause, and the right exit code; that no half checkpoint is left behind
# under a checkpoint's name; and that the resumed run ends with the weights of an unbroken one. Prints a table, ends with 1
# if anything is amiss.
#
# usage: Tests/Faults/faults.sh [--times N] [--seed S] [KIND…]
#   KIND: kill stop guardian config skip bucket count nan loss weight disk link term; default all
#   default 2 times each: about 5 minutes on two cores; --times 20 about an hour. Needs a release build; `disk` and `link` need
#   root, `link` also ../shared/cluster; `term`, a TERM to a Slurm job, half with srun and half with mpirun (slurm.sh), a Slurm.
set -euo pipefail
cd "$(dirname "$0")/../.."
times=2 seed=$$
while (($#)); do
  case $1 in
  --times) times=$2; shift 2 ;;
  --seed) seed=$2; shift 2 ;;
  --help | -h) sed -n '2,/^set/{/^set/!p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
  -*) echo "faults.sh: unknown option $1; see --help" >&2; exit 64 ;;
  *) break ;;
  esac
done
kinds=("$@")
((${#kinds[@]})) || kinds=(kill stop guardian config skip bucket count nan loss weight disk link term)
RANDOM=$seed
program=${ISOGLOSS:-$PWD/.build/release/isogloss}
[[ -x $program ]] || { echo "faults.sh: no $program; build it first" >&2; exit 66; }
cluster=$PWD/../shared/cluster/netns-cluster
ranks=3 timeout=4
folder=$(mktemp -d)
# Links outlive a namespace as long as a process is in it.
network_down() {
  local host
  "$cluster" down "$ranks" 2>/dev/null || true
  for ((host = 1; host <= ranks; host++)); do ip link del "ve$host" 2>/dev/null || true; done
  ip link del br77 2>/dev/null || true
}
clean() {
  umount "$folder/disk" 2>/dev/null || true
  if [[ -e $folder/net ]]; then network_down; fi
  rm -rf "$folder"
}
trap clean EXIT
export ISOGLOSS_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

"$program" sample --out "$folder/sample" --languages en,ru --sentences 200 --seed 5 2>/dev/null
cat >"$folder/run.yaml" <<YAML
task: token-classification
model: {family: bert, hidden_size: 64, num_hidden_layers: 3, num_attention_heads: 4, intermediate_size: 128, max_position_embeddings: 128, type_vocab_size: 2}
tokenizer: sample/tokenizer
languages:
  en: {train: [sample/en.train.conll], dev: [sample/en.dev.conll]}
  ru: {train: [sample/ru.train.conll]}
learning_rate: 1.0e-3
per_step_sentences: 24
max_steps: 300
logging_steps: 50
save_strategy: steps
save_steps: 20
save_total_limit: 2
eval_strategy: steps
eval_steps: 60
replica_check_steps: 10
full_determinism: true
ddp_timeout: $timeout
output_dir: out
YAML

# Milliseconds since some moment.
now() { echo $(($(date +%s%N) / 1000000)); }

# Sleeps so many milliseconds.
pause() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

# A random whole number from 0 to below $1; in $drawn, since a subshell would draw the same again.
draw() { drawn=$(((RANDOM << 15 | RANDOM) % $1)); }

# Starts the run with $ranks ranks in the background: its process in $job, its output in $log.
start() { # OUT [KEY=VALUE…]
  local out=$1
  shift
  log=$folder/log
  mpirun --oversubscribe --bind-to none -n "$ranks" "$program" train "$folder/run.yaml" --out "$out" --resume auto "$@" </dev/null >"$log" 2>&1 &
  job=$!
}

hash_of() { grep -ohE '"weightHash" *: *"[0-9a-f]+"' "$1"/train/result.json | grep -oE '[0-9a-f]{9,}'; }

# The process of rank $1, or of its guardian; nothing if there is none.
process() { # RANK rank|guardian
  local pid variables guarded
  for pid in $(pgrep -f "$program train $folder/run.yaml"); do
    variables=$(cat "/proc/$pid/environ" 2>/dev/null | tr '\0' '\n') || continue
    grep -qx "OMPI_COMM_WORLD_RANK=$1" <<<"$variables" || continue
    guarded=$(grep -c '^ISOGLOSS_GUARDIAN=' <<<"$variables" || true)
    if [[ $2 == rank && $guarded == 1 || $2 == guardian && $guarded == 0 ]]; then
      echo "$pid"
      return
    fi
  done
}

# Waits until all ranks have a process. 1 if the run ended first, 2 if the launcher has not started them after 30 s.
await_ranks() {
  local rank deadline=$(($(now) + 30000))
  for ((rank = 0; rank < ranks; rank++)); do
    until [[ -n $(process "$rank" rank) ]]; do
      kill -0 "$job" 2>/dev/null || return 1
      (($(now) < deadline)) || return 2
      sleep 0.02
    done
  done
}

# Waits for the run: its code in $code, and in $took the milliseconds since $since.
finish() {
  local deadline=$(($(now) + 60000))
  while kill -0 "$job" 2>/dev/null; do
    if (($(now) > deadline)); then
      pkill -KILL -f "$program train $folder/run.yaml" || true
      kill -KILL "$job" 2>/dev/null || true
      wait "$job" 2>/dev/null || true
      code=hang took=60000
      return
    fi
    sleep 0.05
  done
  wait "$job" 2>/dev/null && code=0 || code=$?
  took=$(($(now) - since))
}

# The unbroken run.
start "$folder/whole"
since=$(now)
finish
[[ $code == 0 ]] || { cat "$log"; echo "faults.sh: the unbroken run ended with $code" >&2; exit 1; }
whole=$(hash_of "$folder/whole")
length=$took
printf 'seed %s; an unbroken run takes %s s and ends with weights %s\n' "$seed" "$((length / 1000)).$((length % 1000 / 100))" "$whole"

failed=0 unstarted=0
declare -A good=() tried=() slowest=()

# Judges a run that has ended: its time, its code, its one line; then goes on with it to the end.
judge() { # KIND OUT CODE SECONDS PATTERN WHAT
  local kind=$1 out=$2 wanted=$3 seconds=$4 pattern=$5 what=$6 lines count problem=''
  lines=$(grep -a '^isogloss: ' "$log" || true)
  count=$(grep -c . <<<"$lines" || true)
  [[ " $wanted " == *" $code "* ]] || problem+=" code $code, not $wanted;"
  ((took <= seconds * 1000)) || problem+=" took $took ms;"
  ((count == 1)) || problem+=" $count lines;"
  grep -qE "$pattern" <<<"$lines" || problem+=" the line does not name it;"
  if pgrep -f "$program train $folder/run.yaml" >/dev/null; then
    sleep 3
    if pgrep -f "$program train $folder/run.yaml" >/dev/null; then
      problem+=" processes are left;"
      pkill -KILL -f "$program train $folder/run.yaml" || true
    fi
  fi
  local checkpoint
  for checkpoint in "$out"/train/checkpoint-*; do
    [[ -e $checkpoint ]] || continue
    "$program" checkpoint verify "$checkpoint" >/dev/null 2>&1 || problem+=" ${checkpoint##*/} is not whole;"
  done
  cp "$log" "$folder/fault.log"
  start "$out"
  local ended=$took line
  since=$(now)
  finish
  [[ $code == 0 && $(hash_of "$out") == "$whole" ]] || problem+=" resumed: code $code, weights $(hash_of "$out" 2>/dev/null);"
  tried[$kind]=$((${tried[$kind]:-0} + 1))
  ((ended > ${slowest[$kind]:-0})) && slowest[$kind]=$ended
  line=$(head -1 <<<"$lines")
  if [[ -z $problem ]]; then
    good[$kind]=$((${good[$kind]:-0} + 1))
    printf '%-9s %-28s %5d ms  %s\n' "$kind" "$what" "$ended" "${line:0:150}"
  else
    failed=1
    printf '%-9s %-28s %5d ms  FAILED:%s\n' "$kind" "$what" "$ended" "$problem"
    grep -av '^--' "$folder/fault.log" | tail -5
  fi
  rm -rf "$out"
}

# A signal to a rank or its guardian at a random moment of the run.
signal() { # KIND SIGNAL WHOM CODE SECONDS PATTERN
  local out=$folder/out victim pid delay
  while true; do
    rm -rf "$out"
    draw "$ranks"
    victim=$drawn
    draw $((length * 9 / 10))
    delay=$drawn
    start "$out"
    pause "$delay"
    await_ranks || { finish; continue; }
    pid=$(process "$victim" "$3")
    since=$(now)
    [[ -n $pid ]] && kill "-$2" "$pid" 2>/dev/null || { finish; continue; }
    finish
    # It was too late for this one.
    [[ $code == 0 ]] || break
  done
  judge "$1" "$out" "$4" "$5" "${6//RANK/$victim}" "rank $victim after $delay ms"
}

# A fault that the program makes on purpose.
inside() { # KIND CODE PATTERN
  local out=$folder/out victim step
  draw "$ranks"
  victim=$drawn
  draw 300
  step=$((drawn + 1))
  rm -rf "$out"
  since=$(now)
  ISOGLOSS_FAULT=$1:$victim:$step start "$out"
  finish
  judge "$1" "$out" "$2" $((length / 1000 + 2 * timeout + 8)) "${3//RANK/$victim}" "rank $victim in step $step"
}

for kind in "${kinds[@]}"; do
  for ((time = 1; time <= times; time++)); do
    case $kind in
    kill) signal kill KILL rank 137 15 "^isogloss: rank RANK( on [^ ]+)?: killed by signal 9" ;;
    stop) signal stop STOP rank 70 $((timeout + 12)) "rank RANK( on [^ ]+)?(: stopped|.*is stopped \(SIGSTOP\))" ;;
    guardian) signal guardian KILL guardian 137 15 "^isogloss: rank RANK( on [^ ]+)?: ended by signal 1 \(SIGHUP\)|^isogloss: .*rank RANK" ;;
    skip) inside skip 70 "rank RANK called |rank RANK.*skipped" ;;
    # In the first step the ranks have not agreed on a plan yet: that rank is seen to be in the call after it.
    bucket) inside bucket 70 "rank RANK.*this rank skipped allReduce|allReduce.* in vain; rank RANK on [^ ]+ lives.* in allToAll.* step 1$" ;;
    count) inside count 70 "rank RANK called allReduce" ;;
    nan) inside nan 70 "gradient of step [0-9]+ .*is not finite on rank RANK on" ;;
    loss) inside loss 70 "loss of step [0-9]+ .*is not finite on rank RANK on" ;;
    weight) inside weight 70 "rank RANK" ;;
    config)
      draw "$ranks"
      victim=$drawn
      since=$(now)
      log=$folder/log
      parts=()
      for ((rank = 0; rank < ranks; rank++)); do
        ((rank == 0)) || parts+=(:)
        parts+=(-n 1 "$program" train "$folder/run.yaml" --out "$folder/out" --resume auto)
        ((rank != victim)) || parts+=(learning_rate=0.002)
      done
      mpirun --oversubscribe --bind-to none "${parts[@]}" </dev/null >"$log" 2>&1 &
      job=$!
      finish
      judge config "$folder/out" 78 15 "ranks differ in config: rank $victim on [^ ]+ has 'learning_rate: 0.002'" "rank $victim"
      ;;
    disk)
      if [[ $(id -u) -ne 0 ]]; then
        echo "disk      skipped: needs root to mount a small file system"
        break
      fi
      # Room for some checkpoints, until somebody else fills it up.
      mkdir -p "$folder/disk"
      mount -t tmpfs -o size=64m tmpfs "$folder/disk"
      draw $((length * 8 / 10))
      delay=$drawn
      start "$folder/disk/out"
      pause "$delay"
      since=$(now)
      head -c 64m /dev/zero >"$folder/disk/ballast" 2>/dev/null || true
      finish
      rm -f "$folder/disk/ballast"
      if [[ $code == 0 ]]; then
        # It had saved for the last time.
        umount "$folder/disk"
        time=$((time - 1))
        continue
      fi
      judge disk "$folder/disk/out" 74 15 "^isogloss: (rank 0 on [^ ]+: )?.*([Nn]o space|space|room)" "full after $delay ms"
      umount "$folder/disk"
      ;;
    link)
      if [[ $(id -u) -ne 0 || ! -x $cluster ]]; then
        echo "link      skipped: needs root and $cluster"
        break
      fi
      touch "$folder/net"
      network_down
      "$cluster" up "$ranks" 1gbit
      draw "$ranks"
      victim=$drawn
      draw $((length * 9 / 10))
      delay=$drawn
      log=$folder/log
      OMPI_MCA_hwloc_base_binding_policy=none "$cluster" run "$ranks" "$program" train "$folder/run.yaml" --out "$folder/out" --resume auto </dev/null >"$log" 2>&1 &
      job=$!
      awaited=0
      await_ranks || awaited=$?
      if ((awaited == 2 && ++unstarted <= 3)); then
        # Open MPI's mpirun waits for ever for a host's daemon that does not come: no rank has begun.
        printf '%-9s %s\n' link "the launcher has not started its ranks within 30 s; tried again"
        pkill -KILL -f "$program train $folder/run.yaml" || true
        wait "$job" 2>/dev/null || true
        network_down
        rm -rf "$folder/net" "$folder/out"
        time=$((time - 1))
        continue
      fi
      pause "$delay"
      since=$(now)
      "$cluster" cut $((victim + 1))
      finish
      network_down
      rm -f "$folder/net"
      if [[ $code == 0 ]]; then
        rm -rf "$folder/out"
        time=$((time - 1))
        continue
      fi
      # While MPI starts, the host that mpirun runs on asks the others.
      unheard="rank $victim on [^ ]+ does not answer"
      ((victim)) || unheard="rank 0 on [^ ]+ reaches none of the other 2 hosts"
      judge link "$folder/out" "70 137" 40 "in vain.*rank $victim on [^ ]+ was last heard|^isogloss: rank $victim on .*look at the network of|has not returned.*rank $victim on|start of MPI: took over .*$unheard" "host $((victim + 1)) after $delay ms"
      ;;
    term)
      rows=$(ISOGLOSS=$program Tests/Faults/slurm.sh --times $(((times + 1) / 2)) --signal TERM) || failed=1
      sed 's/^/term      /' <<<"$rows"
      [[ $rows != skipped* ]] || break
      tried[term]=$(grep -cE '^(srun|mpirun) +TERM +(step|\?)' <<<"$rows" || true)
      good[term]=$(grep -cE '^(srun|mpirun) +TERM +step [0-9]+ +1 +COMPLETED +yes$' <<<"$rows" || true)
      break
      ;;
    *) echo "faults.sh: unknown kind $kind" >&2; exit 64 ;;
    esac
  done
done

echo
printf '%-9s %5s %5s %s\n' kind tried good slowest
for kind in "${kinds[@]}"; do
  [[ -n ${tried[$kind]:-} ]] || continue
  # What Slurm takes from the signal to the end is its own.
  time=''
  [[ -z ${slowest[$kind]:-} ]] || printf -v time '%4d.%d s' $((slowest[$kind] / 1000)) $((slowest[$kind] % 1000 / 100))
  printf '%-9s %5d %5d %s\n' "$kind" "${tried[$kind]}" "${good[$kind]:-0}" "$time"
done
exit "$failed"
