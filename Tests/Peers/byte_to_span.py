#!/usr/bin/env python3
"""Reads a Byte-to-Span checkpoint into plain PyTorch modules, and compares its outputs with those of isogloss.

    byte_to_span.py --isogloss .build/release/isogloss --model DIR --data FILE.conll [--windows 200]
    byte_to_span.py --speed fp32 --data FILE.conll ... [--steps 20]

Cuts the file into windows and spans itself. The wanted outputs of all windows have to be equal, their scores to agree to 1e-4 of the larger of 1
and themselves, and the outputs of greedy search to be equal. The last line is JSON; exit code 1 if one is not met. Needs torch and safetensors.

--speed times training steps of the paper's size in PyTorch alone: batches of 128 windows that begin anywhere, spans as targets, SGD, 2 threads,
in fp32 or with autocast to bf16 (`--speed bf16`); the first three steps are not timed. ByteToSpan below is the model for another program:
nn.Embedding, nn.LSTM and nn.Linear.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

TOLERANCE = 1e-4
DROPPED = 256
PAPER = {"window": 60, "test_stride": 30, "embedding_size": 256, "output_embedding_size": 320, "layers": 4, "units": 320,
         "byte_dropout": 0.3, "dropout": 0.5}


class ByteToSpan(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.stop = len(c["types"])
        self.go, self.count = self.stop + 1, self.stop + 2 + 2 * c["window"]
        self.embedding = nn.Embedding(DROPPED + 1, c["embedding_size"])
        dropout = c["dropout"] if c["layers"] > 1 else 0
        self.encoder_lstm = nn.LSTM(c["embedding_size"], c["units"], c["layers"], batch_first=True, dropout=dropout)
        self.output_embedding = nn.Embedding(self.count, c["output_embedding_size"])
        self.decoder_lstm = nn.LSTM(c["output_embedding_size"], c["units"], c["layers"], batch_first=True, dropout=dropout)
        self.projection = nn.Linear(c["units"], self.count, bias=False)
        self.dropout = nn.Dropout(c["dropout"])

    @classmethod
    def load(cls, directory):
        directory = pathlib.Path(directory)
        config = json.loads((directory / "config.json").read_text())
        assert config["model_type"] == "isogloss-byte-to-span", config["model_type"]
        weights = load_file(directory / "model.safetensors")
        # PyTorch adds two biases.
        for name in [name for name in weights if "_lstm.bias_l" in name]:
            bias = weights.pop(name)
            weights[name.replace(".bias_", ".bias_ih_")] = bias
            weights[name.replace(".bias_", ".bias_hh_")] = torch.zeros_like(bias)
        model = cls(config)
        model.load_state_dict({name: value.float() for name, value in weights.items()})
        return model

    def sequence(self, spans):
        """The outputs that say spans: (start, length, type), ascending."""
        lengths = self.go
        starts = lengths + self.config["window"] + 1
        return [output for start, length, kind in reversed(spans) for output in (starts + start, lengths + length, kind)] + [self.stop]

    def encode(self, windows):
        """The last states and cells over windows of one length. Bytes are dropped in training."""
        if self.training:
            windows = windows.masked_fill(torch.rand(windows.shape) < self.config["byte_dropout"], DROPPED)
        return self.encoder_lstm(self.dropout(self.embedding(windows)))[1]

    def decode(self, previous, states):
        out, states = self.decoder_lstm(self.dropout(self.output_embedding(previous)), states)
        return self.projection(self.dropout(out)), states

    def forward(self, windows, targets):
        """The score of each output for each target, which follows the targets before it."""
        previous = torch.cat([torch.full((len(targets), 1), self.go), targets[:, :-1]], 1)
        return self.decode(previous, self.encode(windows))[0]

    def greedy(self, window):
        states, said = self.encode(window[None]), []
        while len(said) < 3 * self.config["window"] + 1 and self.stop not in said:
            logits, states = self.decode(torch.tensor([[said[-1] if said else self.go]]), states)
            said.append(int(logits[0, 0].argmax()))
        return said


class Text:
    """The words of files as one string of bytes, and their entities as spans of it: (start, length, type)."""

    def __init__(self, paths):
        self.bytes, self.spans, span = bytearray(), [], None
        for path in paths:
            for line in [*open(path, encoding="utf-8"), "\n"]:
                columns = line.rstrip("\n").split("\t") if line.strip() else []
                tag = columns[-1] if columns else "O"
                if tag[:2] != "I-" and span:
                    self.spans.append(span)
                    span = None
                if not columns:
                    continue
                if self.bytes:
                    self.bytes += b" "
                start = len(self.bytes)
                self.bytes += columns[0].encode()
                if tag != "O":
                    span = (span[0] if span else start, len(self.bytes) - (span[0] if span else start), tag[2:])

    def starts(self, window, stride):
        last = max(0, len(self.bytes) - window)
        return [*range(0, last, stride), last]

    def window(self, start, size):
        end = min(start + size, len(self.bytes))
        return torch.tensor(list(self.bytes[start:end])), (start, end)

    def targets(self, model, places):
        """The outputs of each window: [(start, end)], ascending."""
        found, first = [], 0
        for start, end in places:
            while first < len(self.spans) and self.spans[first][0] < start:
                first += 1
            inside, at = [], first
            while at < len(self.spans) and sum(self.spans[at][:2]) <= end:
                begin, length, kind = self.spans[at]
                inside.append((begin - start, length, model.config["types"].index(kind)))
                at += 1
            found.append(model.sequence(inside))
        return found


def compare(options):
    model, text = ByteToSpan.load(options.model).eval(), Text(options.data)
    size, stride = model.config["window"], model.config["test_stride"]
    windows, places = zip(*[text.window(start, size) for start in text.starts(size, stride)[:options.windows]])
    wanted = text.targets(model, places)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        subprocess.run([options.isogloss, "decode-windows", options.model, "--data", options.data[0], "--output", f"{folder}/out.safetensors",
                        "--windows", str(options.windows), "--precision", "fp32"], check=True)
        ours = load_file(f"{folder}/out.safetensors")
        theirs = torch.cat([model(window[None], torch.tensor([targets]))[0] for window, targets in zip(windows, wanted)])
        greedy = [model.greedy(window) for window in windows]
    assert ours["logits"].shape == theirs.shape, f"{ours['logits'].shape} {theirs.shape}"
    worst = float(((ours["logits"] - theirs).abs() / theirs.abs().clamp(min=1)).max())
    said = [part.tolist() for part in ours["outputs"].split(ours["output_counts"].tolist())]
    targets = [part.tolist() for part in ours["targets"].split(ours["target_counts"].tolist())]
    different = sum(a != b for a, b in zip(said, greedy, strict=True))
    unlike = sum(a != b for a, b in zip(targets, wanted, strict=True))
    print(json.dumps({"windows": len(windows), "targets": len(theirs), "outputs": sum(map(len, greedy)), "worst": worst,
                      "different_outputs": different, "different_targets": unlike}))
    return worst > TOLERANCE or different > 0 or unlike > 0


def speed(options):
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    text, draw = Text(options.data), random.Random(0)
    model = ByteToSpan({**PAPER, "types": sorted({kind for _, _, kind in text.spans})}).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.3)
    size, warmup = PAPER["window"], 3
    seconds = 0.0
    for step in range(warmup + options.steps):
        starts = sorted(draw.randrange(len(text.bytes) - size + 1) for _ in range(options.batch_size))
        windows, places = zip(*[text.window(start, size) for start in starts])
        targets = pad_sequence([torch.tensor(t) for t in text.targets(model, places)], batch_first=True, padding_value=-100)
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.speed == "bf16"):
            logits = model(torch.stack(windows), targets.clamp(min=0))
        loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="sum") / options.batch_size
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step >= warmup:
            seconds += time.perf_counter() - begin
    count = options.batch_size * options.steps
    print(json.dumps({"precision": options.speed, "threads": options.threads, "batch": options.batch_size, "loss": round(loss.item(), 4),
                      "bytes_per_s": round(size * count / seconds), "step_ms": round(1000 * seconds / options.steps, 1)}))
    return False


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--isogloss")
    options.add_argument("--model")
    options.add_argument("--data", nargs="+", required=True, help="CoNLL files in IOB2: word first, tag last")
    options.add_argument("--windows", type=int, default=200)
    options.add_argument("--speed", choices=["fp32", "bf16"])
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--batch-size", type=int, default=128)
    options.add_argument("--threads", type=int, default=2)
    options = options.parse_args()
    sys.exit(speed(options) if options.speed else compare(options))


if __name__ == "__main__":
    main()
