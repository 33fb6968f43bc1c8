#!/usr/bin/env python3
"""A table whose rows come and go under PyTorch's dense AdamW, for the rows that Isogloss updates alone.

    python3 Tests/Golden/adamw_rows.py Tests/TensorsTests/Fixtures/adamw_rows.json

needs torch. Made with torch 2.13. A table of 40 rows and 8 columns, 200 steps. Of step s, row r (even below 32) is used if
(r * 7 + s * 11) % 23 < 3, and never if r % 5 == 0; from step 120 on the rows below 8 rest. Its gradient in column c is
((r * 7919 + c * 104729 + s * 31337) % 1001 - 500) / 512, exact in a float. Weights begin as
((r * 613 + c * 97) % 257 - 128) / 64. Writes the bits of the weights after the last step, for each weight decay.
"""
import json
import struct
import sys

import torch

ROWS, COLUMNS, STEPS = 40, 8, 200


def used(row, step):
    if row % 5 == 0 or (step >= 120 and row < 8):
        return False
    return (row * 7 + step * 11) % 23 < 3


def run(decay):
    table = torch.nn.Parameter(torch.tensor(
        [[((r * 613 + c * 97) % 257 - 128) / 64 for c in range(COLUMNS)] for r in range(ROWS)], dtype=torch.float32))
    optimiser = torch.optim.AdamW([table], lr=1e-3, weight_decay=decay, fused=False, foreach=False)
    for step in range(STEPS):
        table.grad = torch.tensor(
            [[((r * 7919 + c * 104729 + step * 31337) % 1001 - 500) / 512 if used(r, step) else 0.0 for c in range(COLUMNS)]
             for r in range(ROWS)], dtype=torch.float32)
        optimiser.step()
    return [struct.unpack("<I", struct.pack("<f", value))[0] for value in table.detach().flatten().tolist()]


with open(sys.argv[1], "w") as file:
    json.dump([{"decay": decay, "bits": run(decay)} for decay in (0.0, 0.1)], file)
    file.write("\n")
