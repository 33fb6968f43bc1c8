#!/usr/bin/env python3
"""Isogloss and PyTorch with transformers on the same work, in turns on this machine: the README's table of speed.

    python3 Tests/Peers/speed.py --isogloss .build/release/isogloss --data en.train.conll --tokenizer sp32k.model

Every row is run --runs times, the sides one after the other; the table has medians, their ratios and the peak memory.
Where PyTorch is missing it says so and gives our side alone. With --predict MODEL also words a second of tagging. Each
run goes to stderr as a line of JSON, and the table to stdout. Leave the machine alone while it runs.
"""
import argparse
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys

# name: shape, sentences a step, tokens of every sequence, whether PyTorch sorts by length
ROWS = {
    "mini": ("mini", 32, 0, True),
    "mini as shipped": ("mini", 32, 0, False),
    "mini 256": ("mini", 256, 0, True),
    "mini 512 tokens": ("mini", 8, 512, True),
    "base": ("base", 32, 0, True),
    "base as shipped": ("base", 32, 0, False),
    "base 256": ("base", 256, 0, True),
}


def run(command):
    """The last line of JSON that the command prints."""
    done = subprocess.run([str(x) for x in command], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    print(lines[-1], file=sys.stderr, flush=True)
    return json.loads(lines[-1])


def in_turns(a, ours, theirs, key):
    """The medians of both sides: speed and memory."""
    results = ([], [])
    for _ in range(a.runs):
        if theirs:
            results[1].append(run(theirs))
        results[0].append(run(ours))
    return [{k: statistics.median(r[k] for r in side) for k in (key, "peak_gb")} if side else None for side in results]


def line(name, unit, key, ours, theirs):
    cells = [name, f"{ours[key]:,.0f} {unit}"]
    if theirs:
        cells += [f"{theirs[key]:,.0f} {unit}", f"{ours[key] / theirs[key]:.2f}"]
    cells.append(f"{ours['peak_gb']:.2f} GB")
    if theirs:
        cells += [f"{theirs['peak_gb']:.2f} GB", f"{ours['peak_gb'] / theirs['peak_gb']:.2f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True, help="the program")
    parser.add_argument("--data", nargs="+", required=True, help="CoNLL files to train on")
    parser.add_argument("--tokenizer", required=True, help="a SentencePiece model of at most 32,000 pieces")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS)[:-1], help="which rows, perhaps none; default all but the last")
    parser.add_argument("--predict", metavar="MODEL", help="also tag --test with this model")
    parser.add_argument("--test", nargs="+", default=[], help="CoNLL files to tag")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    a = parser.parse_args()
    torch = importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")
    if not torch:
        print("PyTorch or transformers is missing: only Isogloss is measured", file=sys.stderr)
    reference = [sys.executable, pathlib.Path(__file__).with_name("torch_bench.py")]
    heads = ["work", "Isogloss"] + ["PyTorch", "ratio"] * bool(torch) + ["peak memory"] + ["PyTorch", "ratio"] * bool(torch)
    print("| " + " | ".join(heads) + " |\n|---|" + "---:|" * (len(heads) - 1), flush=True)
    for name in a.rows:
        shape, batch, length, grouped = ROWS[name]
        common = ["--shape", shape, "--data", *a.data, "--tokenizer", a.tokenizer, "--batch-size", batch, "--threads", a.threads,
                  "--steps", a.steps, "--precision", a.precision, *(["--length", length] if length else [])]
        ours, theirs = in_turns(a, [a.isogloss, "bench", "train", *common, "--json"],
                                torch and [*reference, "train", *common, *["--group"] * grouped], "real_tokens_per_s")
        line(f"train {name}, {a.precision}", "tokens/s", "real_tokens_per_s", ours, theirs)
    if a.predict:
        common = ["--data", *a.test, "--threads", a.threads, "--precision", a.precision]
        ours, theirs = in_turns(a, [a.isogloss, "bench", "predict", a.predict, *common, "--json"],
                                torch and [*reference, "predict", "--model", a.predict, *common], "words_per_s")
        line(f"predict, {a.precision}", "words/s", "words_per_s", ours, theirs)


if __name__ == "__main__":
    main()
