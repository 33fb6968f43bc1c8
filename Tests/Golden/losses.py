#!/usr/bin/env python3
"""Values of the losses over float targets, in doubles, for Tests/TensorsTests/SoftTargetsTests.swift.

    python3 Tests/Golden/losses.py

prints them; it needs nothing but Python. Formulas are those of PyTorch's documentation:
CrossEntropyLoss with probabilities as targets, and MSELoss, both with reduction="none", then weighted by rows
and summed. Every input is exact in float32.
"""
import math

logits = [[1.5, -0.5, 0.25], [0.0, 2.0, -1.0], [3.0, 3.0, -4.0], [-0.75, 0.5, 1.0]]
targets = [[0.5, 0.25, 0.25], [0.0, 0.0, 0.0], [0.125, 0.75, 0.0], [0.0, 0.0, 1.0]]
weights = [1.0, 1.0, 0.5, 2.0]
segments = [(0, 2), (2, 4)]


def log_softmax(row):
    largest = max(row)
    normaliser = largest + math.log(math.fsum(math.exp(z - largest) for z in row))
    return [z - normaliser for z in row]


sums, counts = [], []
for begin, end in segments:
    rows = [t for t in range(begin, end) if sum(targets[t]) > 0]
    sums.append(math.fsum(
        -weights[t] * y * z for t in rows for y, z in zip(targets[t], log_softmax(logits[t]))))
    counts.append(sum(weights[t] for t in rows))
print("soft cross entropy", sums, "weights", counts)
print("gradient", [
    weights[t] * (sum(targets[t]) * math.exp(z) - y) if sum(targets[t]) > 0 else 0.0
    for t in range(4) for y, z in zip(targets[t], log_softmax(logits[t]))])
print("squared error", [
    math.fsum(weights[t] * (z - y) ** 2 for t in range(*s) for y, z in zip(targets[t], logits[t]))
    for s in segments], "weights", [3 * sum(weights[slice(*s)]) for s in segments])
print("gradient", [
    2 * weights[t] * (z - y) for t in range(4) for y, z in zip(targets[t], logits[t])])
