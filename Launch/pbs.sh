#!/usr/bin/env bash
# A job of PBS Pro or OpenPBS that trains until it is done: shortly before its time ends the ranks save, and the job is
# queued again to go on from there. The lines up to the word "until here" are yours to change.
#
# usage: qsub [options of qsub] -v CONFIG=run.yaml[,OVERRIDES="key=value …"] Launch/pbs.sh
#
# Submit it from the folder that holds Launch; CONFIG and the program are found from there.
#PBS -N isogloss
# Two nodes; on each, two ranks of eight threads:
#PBS -l select=2:ncpus=16:mpiprocs=2:ompthreads=8
#PBS -l place=scatter:excl
# The end of one go, not of the training:
#PBS -l walltime=12:00:00
# PBS itself may queue the job again, when it preempts it or loses a node:
#PBS -r y
#PBS -j oe
set -euo pipefail

# The program: a name on the PATH of qsub, or a path that every node sees.
program=${ISOGLOSS:-isogloss}
# The ranks save that many seconds before the end of the time; a step and a save must fit in.
margin=${MARGIN:-120}
# What asks the ranks to save, in place of the config's preemption_signal: USR1 or USR2.
signal=${PREEMPTION_SIGNAL:-USR1}
# until here

fail() { # CODE LINE
  echo "Launch/pbs.sh: $2" >&2
  exit "$1"
}

say() {
  echo "$(date '+%F %T') job $PBS_JOBID: $1" >&2
}

[[ -n ${PBS_JOBID:-} && -n ${CONFIG:-} ]] || fail 64 "this is a job: qsub [options] -v CONFIG=run.yaml Launch/pbs.sh"
cd "$PBS_O_WORKDIR"
export PATH=${PBS_O_PATH:-$PATH}
[[ -r $CONFIG ]] || fail 66 "cannot read the config $CONFIG from $PWD"
[[ -x Launch/mpirun ]] || fail 66 "no Launch/mpirun in $PWD; submit from the folder that holds Launch"
command -v "$program" >/dev/null || fail 66 "no program $program on PATH; give its path as ISOGLOSS=…, or here"

# What the job was given, as the server knows it.
given() { # NAME
  qstat -f "$PBS_JOBID" | sed -n "s/^ *$1 = //p" | head -1
}
walltime=$(given Resource_List.walltime)
IFS=: read -r hours minutes seconds <<<"${walltime:-0:0:0}"
remaining=$((10#$hours * 3600 + 10#$minutes * 60 + 10#$seconds - margin))

# One line of the node file is one rank; ompthreads above is its threads.
ranks=$(wc -l <"$PBS_NODEFILE")
threads=${OMP_NUM_THREADS:-1}
read -r -a overrides <<<"${OVERRIDES:-}"
say "$ranks ranks of $threads threads on $(sort -u "$PBS_NODEFILE" | paste -sd' ')"

interrupted=false preempted=false
ask() { # WHY
  interrupted=true
  say "$1, $signal goes to the ranks"
  kill "-$signal" "$job" 2>/dev/null || true
}
Launch/mpirun -n "$ranks" --hostfile "$PBS_NODEFILE" --threads "$threads" \
  "$program" train "$CONFIG" "${overrides[@]}" "preemption_signal=$signal" --threads "$threads" --resume auto &
job=$!
trap 'ask "the time ends in $margin s"' USR1
# PBS sends it for qdel, at the end of the time and in preempting, and kills the job some seconds later.
trap 'preempted=true; ask "TERM came"' TERM
alarm=''
if ((remaining > 0)); then
  (
    trap 'kill "$!"' TERM
    sleep "$remaining" &
    wait "$!" && kill -USR1 $$
  ) &
  alarm=$!
fi
while true; do
  interrupted=false
  wait "$job" && code=0 || code=$?
  $interrupted || break
done
[[ -z $alarm ]] || kill "$alarm" 2>/dev/null || true

if ((code != 75)); then
  say "ended with code $code"
elif $preempted; then
  say "saved; whether the job is queued again is for PBS to say"
elif qrerun "$PBS_JOBID" 2>/dev/null; then
  say "saved, back to the queue"
else
  # Only operators may rerun a job, so another one like it is submitted; qsub must be allowed on compute nodes.
  options=(-N "$PBS_JOBNAME" -q "$PBS_QUEUE" -l "walltime=$walltime" -l "select=$(given Resource_List.select)")
  account=$(given Account_Name)
  [[ -z $account ]] || options+=(-A "$account")
  export CONFIG OVERRIDES=${OVERRIDES:-} ISOGLOSS=$program MARGIN=$margin PREEMPTION_SIGNAL=$signal
  next=$(qsub "${options[@]}" -v CONFIG,OVERRIDES,ISOGLOSS,MARGIN,PREEMPTION_SIGNAL Launch/pbs.sh)
  say "saved, goes on as job $next"
fi
exit "$code"
