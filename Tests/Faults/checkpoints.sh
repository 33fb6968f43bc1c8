#!/usr/bin/env bash
# Fills the disk at random places while a checkpoint is pushed, pulled, made from a delta, merged, signed or gets a card; then flips
# bits at random in each file of a checkpoint. Looks that what was complete before still verifies and is the same, that nothing
# half written has a final name, that the run ends with 74 and one line; that a flipped bit is found, and its tensor named.
# Prints a table, ends with 1 if anything is amiss.
#
# usage: Tests/Faults/checkpoints.sh [--times N] [--seed S]   default 10 times each: 30 seconds; needs a release build, and root to
#   mount a small file system
set -euo pipefail
script=$(realpath "$0") times=10
cd "$(dirname "$0")/../.."
. Tests/Faults/options.sh
if [[ $(id -u) -ne 0 ]]; then
  echo "${script##*/}: skipped: needs root to mount a small file system"
  exit 0
fi
disk=$folder/disk
trap 'umount "$disk" 2>/dev/null; rm -rf "$folder"' EXIT
mkdir "$disk"
mount -t tmpfs -o size=16m tmpfs "$disk"
export ISOGLOSS_THREADS=1
run() { "$program" "$@" </dev/null; }

# A parent, a child of it and a sibling.
run sample --out "$folder/sample" --languages en --sentences 200 --seed 5 2>/dev/null
cat >"$folder/run.yaml" <<YAML
task: token-classification
model: {family: bert, hidden_size: 128, num_hidden_layers: 3, num_attention_heads: 4, intermediate_size: 256, max_position_embeddings: 128, type_vocab_size: 2}
tokenizer: sample/tokenizer
languages: {en: {train: [sample/en.train.conll]}}
learning_rate: 1.0e-3
per_step_sentences: 24
max_steps: 5
YAML
run train "$folder/run.yaml" --out "$folder/parent-run" 2>/dev/null >/dev/null
sed -e "/^model:/c init: $folder/parent-run/train/model" -e '/^tokenizer:/d' "$folder/run.yaml" >"$folder/child.yaml"
for name in child sibling; do
  run train "$folder/child.yaml" --out "$folder/$name-run" seed=$((${#name})) 2>/dev/null >/dev/null
  mv "$folder/$name-run/train/model" "$folder/$name"
done
mv "$folder/parent-run/train/model" "$folder/parent"
run checkpoint diff "$folder/parent" "$folder/child" --out "$folder/delta" >/dev/null
run checkpoint keygen --out "$folder/key" >/dev/null
bytes=$(du -sb "$folder/child" | cut -f1)
printf 'seed %s; a checkpoint of %s bytes, a delta of %s\n' "$seed" "$bytes" "$(du -sb "$folder/delta" | cut -f1)"

failed=0
declare -A tried=() full=()
complain() { echo "FAILED: $*"; failed=1; }
hashes() { (cd "$1" && find . -type f ! -name '*.partial-*' | LC_ALL=C sort | xargs sha256sum); }

# Runs a command while the disk has room for a random part of what it writes.
fill() { # KIND BYTES COMMAND…
  local kind=$1 room=$2 code=0 before
  shift 2
  # Some of what is there is to outlive it.
  before=$(cd "$disk" && find . -type f ! -name ballast | LC_ALL=C sort | xargs sha256sum)
  room=$((RANDOM * 32768 + RANDOM))
  room=$((room % ($bytes * 3 / 2)))
  rm -f "$disk/ballast"
  head -c $(($(df -B1 --output=avail "$disk" | tail -1) - room)) /dev/zero >"$disk/ballast" 2>/dev/null || true
  run "$@" >"$folder/out" 2>"$folder/errors" || code=$?
  rm -f "$disk/ballast"
  tried[$kind]=$((${tried[$kind]:-0} + 1))
  if ((code)); then
    full[$kind]=$((${full[$kind]:-0} + 1))
    ((code == 74)) || complain "$kind: code $code: $(head -1 "$folder/errors")"
    [[ $(grep -c '^isogloss: ' "$folder/errors") == 1 ]] || complain "$kind: not one line"
    grep -qi 'space' "$folder/errors" || complain "$kind: $(head -1 "$folder/errors")"
  fi
  # A card that was written is another.
  [[ $kind == card && $code == 0 ]] || (cd "$disk" && sha256sum --quiet -c - <<<"$before") >/dev/null 2>&1 || complain "$kind: what was there is not the same"
  ended=$code
}

for ((time = 0; time < times; time++)); do
  # A store with the parent in it.
  rm -rf "${disk:?}"/* "${disk:?}"/.[!.]*
  run checkpoint push "$folder/parent" "$disk/store" --name parent >/dev/null
  fill push "$bytes" checkpoint push "$folder/sibling" "$disk/store" --name child
  run checkpoint pull "$disk/store" parent --out "$folder/pulled" >/dev/null || complain "push: the parent is lost"
  rm -rf "$folder/pulled"
  run checkpoint push "$folder/sibling" "$disk/store" --name child >/dev/null || complain "push: does not go on"
  run checkpoint pull "$disk/store" child --out "$folder/pulled" >/dev/null || complain "push: the child is lost"
  diff -r "$folder/pulled" "$folder/sibling" >/dev/null || complain "push: the child is another"
  rm -rf "$folder/pulled"

  for kind in pull apply merge; do
    rm -rf "${disk:?}"/* "${disk:?}"/.[!.]*
    cp -r "$folder/parent" "$disk/parent"
    case $kind in
    pull)
      run checkpoint push "$folder/child" "$folder/store" --name child >/dev/null
      fill pull "$bytes" checkpoint pull "$folder/store" child --out "$disk/made" ;;
    apply) fill apply "$bytes" checkpoint apply "$folder/parent" "$folder/delta" --out "$disk/made" ;;
    merge) fill merge "$bytes" checkpoint merge "$folder/child" "$folder/sibling" --out "$disk/made" ;;
    esac
    if ((ended)); then
      [[ $(ls -A "$disk") == parent ]] || complain "$kind: left $(ls -A "$disk" | tr '\n' ' ')"
    else
      run checkpoint verify "$disk/made" >/dev/null || complain "$kind: what was made does not verify"
    fi
  done

  for kind in card sign; do
    rm -rf "${disk:?}"/* "${disk:?}"/.[!.]*
    cp -r "$folder/child" "$disk/child"
    # No room at all, now and then: these write little.
    bytes_saved=$bytes
    bytes=$((RANDOM % 2 ? 3000 : 20000))
    case $kind in
    card) fill card "$bytes" checkpoint card "$disk/child" --licence mit ;;
    sign) fill sign "$bytes" checkpoint sign "$disk/child" --key "$folder/key" ;;
    esac
    bytes=$bytes_saved
    run checkpoint verify "$disk/child" >/dev/null || complain "$kind: the checkpoint is lost"
  done
done

# A flipped bit in each file, at random.
flips=0 found=0
for ((time = 0; time < times; time++)); do
  for file in $(cd "$folder/child" && find . -type f -printf '%P\n'); do
    rm -rf "$folder/flipped"
    cp -r "$folder/child" "$folder/flipped"
    python3 - "$folder/flipped/$file" $((RANDOM * 32768 + RANDOM)) <<'PY'
import sys
path, draw = sys.argv[1], int(sys.argv[2])
data = bytearray(open(path, "rb").read())
place = draw % (len(data) * 8)
data[place // 8] ^= 1 << (place % 8)
open(path, "wb").write(data)
PY
    flips=$((flips + 1))
    code=0
    run checkpoint verify "$folder/flipped" >/dev/null 2>"$folder/errors" || code=$?
    # In the manifest a flip may fall on white space or a fact: who signs it knows.
    if [[ $file == isogloss.json ]]; then
      if ((!code)); then
        cp -r "$folder/child" "$folder/signed"
        run checkpoint sign "$folder/signed" --key "$folder/key" >/dev/null
        cp "$folder/flipped/isogloss.json" "$folder/signed/"
        run checkpoint verify "$folder/signed" --key "$folder/key.pub" >/dev/null 2>&1 || code=65
        rm -rf "$folder/signed"
      fi
    elif [[ $file == *.safetensors ]]; then
      # A header that cannot be read any more is told with the tensor in it.
      grep -qE 'in the tensor [a-zA-Z_.0-9]+:|in its header:|model.safetensors: ' "$folder/errors" || complain "$file: $(head -1 "$folder/errors")"
    else
      grep -qF "$file" "$folder/errors" || complain "$file: $(head -1 "$folder/errors")"
    fi
    if ((code == 65)); then found=$((found + 1)); else complain "a flip in $file ends with $code"; fi
  done
done

printf '\n%-8s %5s %9s\n' kind tried 'disk full'
for kind in push pull apply merge card sign; do printf '%-8s %5d %9d\n' "$kind" "${tried[$kind]}" "${full[$kind]:-0}"; done
echo "$found of $flips flipped bits found"
exit "$failed"
