#!/usr/bin/env python3
"""The products of a training step by the program's own kernels and by oneDNN, in turns on this machine.

    python3 Tests/Peers/products.py --isogloss .build/release/isogloss --data en.train.conll --tokenizer sp32k.model --shape base

Ours are the rows "linear" of bench train --profile: in a step, with rounding, packing, bias, GELU and the bias's gradient.
oneDNN's do the same around its matmul (onednn.cpp beside this file; Debian's libdnnl-dev and g++), with as many rows. The
table has the medians of --runs in GFLOP/s of the products alone. Leave the machine alone while it runs.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

LAYERS = {
    "mini": [(384, 1152, "none"), (384, 384, "none"), (384, 1536, "gelu"), (1536, 384, "none")],
    "base": [(768, 2304, "none"), (768, 768, "none"), (768, 3072, "gelu"), (3072, 768, "none")],
}


def output(command, **settings):
    done = subprocess.run([str(x) for x in command], capture_output=True, text=True, env=os.environ | settings, timeout=1800)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True, help="the program")
    parser.add_argument("--data", nargs="+", required=True, help="CoNLL files to train on")
    parser.add_argument("--tokenizer", required=True, help="a SentencePiece model of at most 32,000 pieces")
    parser.add_argument("--shape", choices=LAYERS, default="mini")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    a = parser.parse_args()
    bench = [a.isogloss, "bench", "train", "--shape", a.shape, "--precision", a.precision, "--batch-size", a.batch_size, "--steps",
             a.steps, "--threads", a.threads, "--profile", "--tokenizer", a.tokenizer, "--data", *a.data]
    ours, theirs = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        peer = pathlib.Path(folder) / "onednn"
        output(["g++", "-O3", "-march=native", "-fopenmp", "-std=c++17", "-o", peer, pathlib.Path(__file__).with_name("onednn.cpp"), "-ldnnl"])
        for _ in range(a.runs):
            text = output(bench)
            rows = int(re.search(r"tokens_per_step: (\d+)", text)[1])
            for found in re.finditer(r"^linear (\d+) → (\d+)( backward)? +\d+ +\S+ +\S+ +(\S+)", text, re.M):
                ours.setdefault((int(found[1]), int(found[2]), bool(found[3])), []).append(float(found[4]))
            layers = [word for layer in LAYERS[a.shape] for word in layer]
            for line in output([peer, a.precision, rows, *layers], OMP_NUM_THREADS=str(a.threads)).splitlines():
                inputs, outputs, way, seconds = line.split()
                key = (int(inputs), int(outputs), way == "backward")
                flops = 2 * rows * key[0] * key[1] * (2 if key[2] else 1)
                theirs.setdefault(key, []).append(flops / float(seconds) * 1e-9)
    print(f"| {a.shape}, {a.precision}, {rows} rows | Isogloss | oneDNN | ratio |\n|---|---:|---:|---:|")
    for key, speeds in theirs.items():
        mine, other = statistics.median(ours[key]), statistics.median(speeds)
        print(f"| {key[0]} → {key[1]}{' backward' if key[2] else ''} | {mine:,.0f} | {other:,.0f} | {mine / other:.2f} |")


if __name__ == "__main__":
    main()
