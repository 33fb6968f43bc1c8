#!/usr/bin/env python3
"""200 AdamW steps of MiniLM in PyTorch, in fp32 and under bf16 autocast, for the Swift tests.

    python3 Tests/Peers/autocast.py --reference DIR --data en.train.conll

DIR is what minilm.py wrote: both trainings begin from its checkpoint/, with its optimiser and no dropout. Adds
autocast.safetensors, named as minilm.py names things:

    steps.ids, steps.positions, steps.labels [T], steps.bounds, steps.batches [201]   --batch-size sentences a step
    train.fp32, train.bf16 [200]    the losses

then `ISOGLOSS_MINILM_REFERENCE=DIR swift test …` compares. Slow where PyTorch has no bf16 instructions to use: minutes
with 2 sentences a step on AVX2. Prints one JSON line with the largest relative difference of the two running means of
20 losses, which is what bf16 does to PyTorch itself.
"""
import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer

from minilm import encode, loss_of, packed, read_conll


def train(folder, batches, pad, bf16):
    model = AutoModelForTokenClassification.from_pretrained(folder / "checkpoint").eval()
    optimiser = torch.optim.AdamW(
        [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
         {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}], lr=1e-4)
    losses = []
    for batch in batches:
        optimiser.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss = loss_of(model, batch, pad)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.detach().float())
    return torch.stack(losses)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, help="a CoNLL file of at least 200 steps of sentences")
    parser.add_argument("--batch-size", type=int, default=16)
    a = parser.parse_args()
    steps, size = 200, a.batch_size
    labels = json.loads((a.reference / "reference.json").read_text())["labels"]
    tokenizer = AutoTokenizer.from_pretrained(a.reference / "checkpoint")
    sentences = read_conll(a.data)
    assert len(sentences) >= steps * size, f"{len(sentences)} sentences"
    sequences = [encode(tokenizer, *sentences[i * len(sentences) // (steps * size)], labels) for i in range(steps * size)]
    batches = [sequences[i:i + size] for i in range(0, len(sequences), size)]
    out = packed("steps", sequences) | {"steps.batches": torch.arange(0, steps * size + 1, size)}
    out = {name: tensor.to(torch.int32) for name, tensor in out.items()}
    for name in ("fp32", "bf16"):
        out[f"train.{name}"] = train(a.reference, batches, tokenizer.pad_token_id, name == "bf16")
    save_file(out, a.reference / "autocast.safetensors")
    fp32, bf16 = (out[f"train.{name}"].unfold(0, 20, 1).mean(1) for name in ("fp32", "bf16"))
    print(json.dumps({"worst_running_mean": ((bf16 - fp32).abs() / fp32).max().item(),
                      "last_fp32": fp32[-1].item(), "last_bf16": bf16[-1].item()}))


if __name__ == "__main__":
    main()
