#!/usr/bin/env python3
"""Compares fill-mask of a checkpoint written here with transformers', and back: `isogloss fill-mask` of what transformers saved.

    fill_mask.py --isogloss PROGRAM --checkpoint DIR --text FILE [--lines N]

FILE is text, plain or gzip; of each line one word is masked. Ends with 1 unless the five likeliest tokens agree for every
line (but for exchanges among scores closer than 1e-6) and their scores to 1e-4.
"""
import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

p = argparse.ArgumentParser()
p.add_argument("--isogloss", required=True)
p.add_argument("--checkpoint", required=True)
p.add_argument("--text", required=True, nargs="+")
p.add_argument("--lines", type=int, default=20)
a = p.parse_args()


def masked_lines(mask):
    rng = random.Random(0)
    for path in a.text:
        with (gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")) as file:
            lines = [line.strip() for line in file if 4 <= len(line.split()) <= 30 and len(line) < 250]
        for line in rng.sample(lines, min(a.lines, len(lines))):
            words = line.split()
            words[rng.randrange(len(words))] = mask
            yield " ".join(words)


def ours(directory, lines):
    answer = subprocess.run([a.isogloss, "fill-mask", directory, "--json"], input="\n".join(lines) + "\n", text=True,
                            capture_output=True, check=True).stdout
    found = [[] for _ in lines]
    for row in map(json.loads, answer.splitlines()):
        found[row["line"] - 1].append((row["token"], row["score"]))
    return found


def theirs(directory, lines):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForMaskedLM.from_pretrained(directory).eval()
    found = []
    for line in lines:
        ids = tokenizer(line, return_tensors="pt").input_ids
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, ids[0].tolist().index(tokenizer.mask_token_id)]
        best = logits.double().softmax(-1)[:len(tokenizer)].topk(5)
        found.append(list(zip(best.indices.tolist(), best.values.tolist())))
    return found, model, tokenizer


def agree(one, other):
    if any(abs(x[1] - y[1]) > 1e-4 for x, y in zip(one, other)):
        return False
    return all(x[0] == y[0] or abs(x[1] - y[1]) < 1e-6 for x, y in zip(one, other))


mask = AutoTokenizer.from_pretrained(a.checkpoint).mask_token
lines = list(masked_lines(mask))
wanted, model, tokenizer = theirs(a.checkpoint, lines)
with tempfile.TemporaryDirectory() as saved:
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    results = {"a checkpoint of isogloss": ours(a.checkpoint, lines), "the same saved by transformers": ours(saved, lines)}
good = True
for name, found in results.items():
    equal = sum(agree(x, y) for x, y in zip(found, wanted))
    worst = max(abs(p[1] - q[1]) for x, y in zip(found, wanted) for p, q in zip(x, y))
    print(f"{name}: top 5 agree in {equal} of {len(lines)} lines, scores within {worst:.1e}")
    good = good and equal == len(lines)
sys.exit(0 if good else 1)
