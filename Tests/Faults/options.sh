# Sourced by the scripts of this folder that fail a program so many times: reads --times N and --seed S, whose default number of
# times the script has set, and leaves `times`, `seed`, `program` and `folder`, which is removed at the end.
seed=$$
while (($#)); do
  case $1 in
  --times) times=$2; shift 2 ;;
  --seed) seed=$2; shift 2 ;;
  *) sed -n '2,/^set/{/^set/!p}' "$script" | sed 's/^# \{0,1\}//'; exit 64 ;;
  esac
done
RANDOM=$seed
program=${ISOGLOSS:-$PWD/.build/release/isogloss}
[[ -x $program ]] || { echo "${script##*/}: no $program; build it first" >&2; exit 66; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
