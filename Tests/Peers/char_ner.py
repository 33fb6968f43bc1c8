#!/usr/bin/env python3
"""Reads a CharNER checkpoint into plain PyTorch modules, and compares their scores and labels with those of isogloss.

    char_ner.py --isogloss .build/release/isogloss --model DIR --data FILE.conll [--sentences 200]

Needs torch and safetensors. The score of a label of a word, what it adds to its sentence at the word's bytes and at the space before it, has
to agree to 1e-4 of the larger of 1 and itself, the labels all. The last line is JSON; exit code 1 if one is not met. CharNER below is the
model for another program: nn.Embedding, nn.LSTM and nn.Linear over the bytes of a sentence.
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from torch import nn

from byte_crf import best_labels, check, with_two_biases

SPACE = 32


class CharNER(nn.Module):
    def __init__(self, directory):
        super().__init__()
        directory = pathlib.Path(directory)
        c = self.config = json.loads((directory / "config.json").read_text())
        assert c["model_type"] == "isogloss-char-ner", c["model_type"]
        weights = with_two_biases(load_file(directory / "model.safetensors"))
        self.types = ["O"] + [label[2:] for label in c["labels"] if label.startswith("B-")]
        self.embedding = nn.Embedding(*weights["embedding.weight"].shape)
        self.lstm = nn.LSTM(c["embedding_size"], c["layer_units"], c["layers"], bidirectional=True)
        self.classifier = nn.Linear(2 * c["layer_units"], len(self.types))
        self.load_state_dict(weights)

    def forward(self, words):
        """The score of each label for each word of a sentence."""
        logits = self.classifier(self.lstm(self.embedding(torch.tensor(list(" ".join(words).encode()))))[0])
        odds = logits.double().softmax(-1) if self.config["decode_by"] == "probabilities" else logits.double().log_softmax(-1)
        rows, place = [], 0
        for index, word in enumerate(words):
            space = odds[place - 1] if index else torch.zeros(len(self.types))
            inside = odds[place:place + len(word.encode())].sum(0)
            place += len(word.encode()) + 1
            rows.append([
                inside[0] + space[0] if label == "O" else
                inside[self.types.index(label[2:])] + space[self.types.index(label[2:]) if label[0] == "I" else 0]
                for label in self.config["labels"]])
        return torch.tensor(rows)

    def labels(self, scores):
        """The best labels: I- follows only B- or I- of its type."""
        names = self.config["labels"]
        never = torch.tensor(-torch.inf)
        allowed = torch.tensor([[0.0 if b[0] != "I" or (a != "O" and a[2:] == b[2:]) else never for b in names] for a in names])
        start = torch.tensor([never if name[0] == "I" else 0.0 for name in names])
        return [names[label] for label in best_labels(scores, allowed, start, torch.zeros(len(names)))]


if __name__ == "__main__":
    check(CharNER)
