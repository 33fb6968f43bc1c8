#!/usr/bin/env bash
# Kills `isogloss data pack` with SIGKILL at random moments, and goes on with it each time: the files have to be those of an
# unbroken run, byte for byte, and none may go by a shard's or an index's name before it is whole. Two languages, plain and
# gzip, with and without --drop-duplicates in turn. Prints a table, ends with 1 if anything is amiss.
#
# usage: Tests/Faults/packing.sh [--times N] [--seed S]     default 20 times: 1 minute on two cores; needs a release build
set -euo pipefail
script=$(realpath "$0") times=20
cd "$(dirname "$0")/../.."
. Tests/Faults/options.sh
"$program" sample --out "$folder/sample" --languages en,ru --sentences 2000 --seed 5 2>/dev/null
lines() { # LANGUAGE: its sentences, a line each, a blank line after every seventh; each fifth there twice
  awk -F'\t' 'NF < 2 { if (text != "") { print text; if (++n % 5 == 0) print text; if (n % 7 == 0) print ""; text = "" } next }
    { text = text (text == "" ? "" : " ") $1 }' "$folder/sample/$1.train.conll"
}
for language in en ru; do
  # The same sentences many times over, told apart by a number.
  for copy in {1..120}; do lines "$language" | sed "s/\$/ $copy/; s/^ $copy\$//"; done >"$folder/$language.txt"
done
gzip "$folder/ru.txt"
arguments=(data pack --input "$folder/en.txt" "$folder/ru.txt.gz" --tokenizer "$folder/sample/tokenizer"
  --dev-every 50 --shard-tokens 30000 --threads 2)
# Names and hashes of all files, hidden ones too.
hashes() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum); }

start=$(date +%s%N)
"$program" "${arguments[@]}" --drop-duplicates --out "$folder/whole-1" >/dev/null
milliseconds=$((($(date +%s%N) - start) / 1000000))
"$program" "${arguments[@]}" --out "$folder/whole-0" >/dev/null
for kind in 0 1; do hashes "$folder/whole-$kind" >"$folder/whole-$kind.hashes"; done
echo "seed $seed; an unbroken run takes $milliseconds ms and writes $(wc -l <"$folder/whole-1.hashes") files"

killed=0 finished=0 failed=0 sorting=0 half=0 kind=1
out=$folder/out
check() {
  finished=$((finished + 1))
  hashes "$out" | cmp -s - "$folder/whole-$kind.hashes" || {
    echo "FAILED: after $killed kills the files are others: $(hashes "$out" | diff - "$folder/whole-$kind.hashes" | head -3)"
    failed=1
  }
  rm -rf "$out"
  kind=$((1 - kind))
}
while ((killed < times && !failed)); do
  options=()
  ((kind)) && options=(--drop-duplicates)
  "$program" "${arguments[@]}" ${options[@]+"${options[@]}"} --out "$out" </dev/null >"$folder/log" 2>&1 &
  job=$!
  wait_for=$((20 + RANDOM % (milliseconds * 2 / 3)))
  sleep "$(printf '%d.%03d' $((wait_for / 1000)) $((wait_for % 1000)))"
  kill -KILL "$job" 2>/dev/null || true
  status=0
  wait "$job" 2>/dev/null || status=$?
  if ((status == 137)); then
    killed=$((killed + 1))
    if compgen -G "$out/*/.sorting" >/dev/null; then sorting=$((sorting + 1)); fi
    if compgen -G "$out/*/*/.*partial" >/dev/null; then half=$((half + 1)); fi
    # What goes by its name is whole.
    for shard in "$out"/*/*/*.tokens; do
      [[ -e $shard ]] || continue
      cmp -s "$shard" "$folder/whole-$kind/${shard#"$out"/}" || {
        echo "FAILED: after $killed kills ${shard#"$out"/} is not what it should be"
        failed=1
      }
    done
  elif ((status)); then
    echo "FAILED: after $killed kills packing did not go on: $(tail -1 "$folder/log")"
    failed=1
  else
    check
  fi
done
if [[ -e $out && $failed == 0 ]]; then
  options=()
  ((kind)) && options=(--drop-duplicates)
  "$program" "${arguments[@]}" ${options[@]+"${options[@]}"} --out "$out" >/dev/null 2>&1 || failed=1
  check
fi
printf '%d kills, %d of them while duplicates were looked for, %d with shards half written; %d runs went on to their end%s\n' \
  "$killed" "$sorting" "$half" "$finished" "$( ((failed)) && echo ': NOT ALL as an unbroken one' || echo ', with the files of an unbroken one')"
exit "$failed"
