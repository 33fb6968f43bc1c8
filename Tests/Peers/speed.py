#!/usr/bin/env python3
"""Point 8: tokens per second and peak memory against PyTorch and transformers, run in turns on this machine.

    python3 Tests/Peers/speed.py --isogloss .build/release/isogloss --reference hf_ner.py \\
        --data en.train.conll --tokenizer sp32k.model

Each of --runs rounds runs the reference's `bench --group` and then `isogloss bench train`, with the same shape, data,
tokenizer, batch size, threads, steps and precision. Prints each run on stderr and one line of JSON: the medians, the ratio
of tokens per second (to be at least --speed) and of peak memory (at most --memory). Exit code 1 if not met. Leave
the machine alone while it runs.
"""
import argparse
import json
import statistics
import subprocess
import sys


def run(command):
    """The last line of JSON that the command prints."""
    done = subprocess.run([str(x) for x in command], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    print(lines[-1], file=sys.stderr, flush=True)
    return json.loads(lines[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True, help="the program")
    parser.add_argument("--reference", required=True, help="hf_ner.py")
    parser.add_argument("--data", nargs="+", required=True, help="CoNLL files")
    parser.add_argument("--tokenizer", required=True, help="a SentencePiece model")
    parser.add_argument("--shape", choices=["mini", "base"], default="mini")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--speed", type=float, default=1.0, help="least ratio of tokens per second")
    parser.add_argument("--memory", type=float, default=0.6, help="largest ratio of peak memory")
    a = parser.parse_args()
    common = ["--shape", a.shape, "--data", *a.data, "--tokenizer", a.tokenizer, "--batch-size", a.batch_size,
              "--threads", a.threads, "--steps", a.steps]
    theirs, ours = [], []
    for _ in range(a.runs):
        theirs.append(run([sys.executable, a.reference, "bench", "--group", *common, *["--bf16"] * (a.precision == "bf16")]))
        ours.append(run([a.isogloss, "bench", "train", *common, "--precision", a.precision, "--json"]))

    def median(runs, key):
        return statistics.median(r[key] for r in runs)
    speed = median(ours, "real_tokens_per_s") / median(theirs, "real_tokens_per_s")
    memory = median(ours, "peak_gb") / median(theirs, "peak_gb")
    met = speed >= a.speed and memory <= a.memory
    print(json.dumps({"point": 8, "shape": a.shape, "precision": a.precision, "threads": a.threads, "runs": a.runs,
                      "tokens_per_s": [median(ours, "real_tokens_per_s"), median(theirs, "real_tokens_per_s")],
                      "peak_gb": [median(ours, "peak_gb"), median(theirs, "peak_gb")],
                      "speed_ratio": round(speed, 3), "memory_ratio": round(memory, 3), "met": met}))
    sys.exit(not met)


if __name__ == "__main__":
    main()
