#!/usr/bin/env python3
"""Reads a Byte-CRF checkpoint into plain PyTorch modules, and compares their logits and labels with those of isogloss.

    byte_crf.py --isogloss .build/release/isogloss --model DIR --data FILE.conll [--sentences 200]

Needs torch and safetensors. Logits have to agree to 1e-4 of the larger of 1 and themselves, labels all. The last line is JSON; exit code 1 if
one is not met. ByteCRF below is the model for another program: nn.Embedding, nn.LSTM, nn.Linear and a matrix of transitions.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.rnn import pad_packed_sequence, pack_sequence

TOLERANCE = 1e-4


def with_two_biases(weights):
    """PyTorch adds two biases where isogloss has their sum."""
    weights = {name: value.float() for name, value in weights.items()}
    for name in [name for name in weights if "lstm.bias_l" in name]:
        bias = weights.pop(name)
        weights[name.replace(".bias_", ".bias_ih_")] = bias
        weights[name.replace(".bias_", ".bias_hh_")] = torch.zeros_like(bias)
    return weights


def best_labels(logits, transitions, start, end):
    """The labels of the highest score of a chain."""
    best, back = start + logits[0], []
    for row in logits[1:]:
        scores = best[:, None] + transitions
        back.append(scores.argmax(0))
        best = scores.max(0).values + row
    path = [int((best + end).argmax())]
    for origin in reversed(back):
        path.append(int(origin[path[-1]]))
    return path[::-1]


class ByteCRF(nn.Module):
    def __init__(self, directory):
        super().__init__()
        directory = pathlib.Path(directory)
        self.config = json.loads((directory / "config.json").read_text())
        assert self.config["model_type"] == "isogloss-byte-crf", self.config["model_type"]
        c, weights = self.config, load_file(directory / "model.safetensors")
        self.characters = {chr(value): place + 1 for place, value in enumerate(c.get("characters", []))}
        self.embedding = nn.Embedding(*weights["embedding.weight"].shape)
        self.word_lstm = nn.LSTM(c["embedding_size"], c["word_units"], c["word_layers"], bidirectional=True, batch_first=True)
        self.sentence_lstm = nn.LSTM(2 * c["word_layers"] * c["word_units"], c["sentence_units"], c["sentence_layers"],
                                     bidirectional=True, batch_first=True)
        self.classifier = nn.Linear(2 * c["sentence_units"], len(c["labels"]))
        self.transitions = weights.pop("crf.transitions")
        zeros = torch.zeros(len(c["labels"]))
        self.start, self.end = weights.pop("crf.start_transitions", zeros), weights.pop("crf.end_transitions", zeros)
        self.load_state_dict(with_two_biases(weights))

    def ids(self, word):
        units = word.encode() if self.config["units"] == "bytes" else [self.characters.get(c, 0) for c in word]
        return torch.tensor(list(units)[:self.config["word_length"]])

    def forward(self, words):
        """The score of each label for each word of a sentence."""
        packed = pack_sequence([self.embedding(self.ids(word)) for word in words], enforce_sorted=False)
        last = self.word_lstm(packed)[1][0]  # [layers × directions, words, units]
        vectors = last.transpose(0, 1).reshape(len(words), -1)
        return self.classifier(self.sentence_lstm(vectors[None])[0][0])

    def labels(self, logits):
        return [self.config["labels"][label] for label in best_labels(logits, self.transitions, self.start, self.end)]


def sentences(path, count):
    words, found = [], []
    for line in [*open(path, encoding="utf-8"), "\n"]:
        if line.strip():
            words.append(line.rstrip("\n").split("\t")[0])
        elif words:
            found.append(words)
            words = []
    return found[:count]


def check(module):
    """Compares a checkpoint read by a module with what isogloss predicts."""
    options = argparse.ArgumentParser()
    options.add_argument("--isogloss", required=True)
    options.add_argument("--model", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--sentences", type=int, default=200)
    options = options.parse_args()
    model, read = module(options.model).eval(), sentences(options.data, options.sentences)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        text = "\n".join("".join(f"{word}\n" for word in words) for words in read)
        pathlib.Path(folder, "in.conll").write_text(text, encoding="utf-8")
        subprocess.run([options.isogloss, "predict", options.model, "--input", f"{folder}/in.conll", "--output", f"{folder}/out.conll",
                        "--logits", f"{folder}/logits.safetensors", "--precision", "fp32"], check=True, stderr=subprocess.DEVNULL)
        tags = [line.split("\t")[-1] for line in pathlib.Path(folder, "out.conll").read_text().splitlines() if line]
        ours = load_file(f"{folder}/logits.safetensors")["logits"]
        theirs = [model(words) for words in read]
        wanted = [tag for logits in theirs for tag in model.labels(logits)]
        theirs = torch.cat(theirs)
    assert ours.shape == theirs.shape and len(tags) == len(wanted), f"{ours.shape} {theirs.shape} {len(tags)}"
    worst = float(((ours - theirs).abs() / theirs.abs().clamp(min=1)).max())
    different = sum(a != b for a, b in zip(tags, wanted))
    print(json.dumps({"words": len(wanted), "worst": worst, "different_labels": different}))
    sys.exit(worst > TOLERANCE or different > 0)


if __name__ == "__main__":
    check(ByteCRF)
