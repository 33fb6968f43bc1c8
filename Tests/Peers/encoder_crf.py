#!/usr/bin/env python3
"""Reads a token classifier with head_layers, sentence_units and head: crf into plain PyTorch modules over transformers, and compares their
logits and labels with those of isogloss.

    encoder_crf.py --isogloss .build/release/isogloss --model DIR --data FILE.conll [--sentences 200]

Needs torch, safetensors and transformers; sentences have to fit into one window. Logits have to agree to 1e-4 of the larger of 1 and
themselves, labels all. The last line is JSON; exit code 1 if one is not met.
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel, AutoTokenizer

from byte_crf import best_labels, check, with_two_biases


class EncoderCRF(nn.Module):
    def __init__(self, directory):
        super().__init__()
        directory = pathlib.Path(directory)
        facts = json.loads((directory / "isogloss.json").read_text())
        facts = facts.get("facts", facts)
        self.names, self.layers, units = facts["labels"][0], facts.get("head_layers", 1), facts["sentence_units"]
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.encoder = AutoModel.from_pretrained(directory, add_pooling_layer=False)
        weights = with_two_biases(load_file(directory / "model.safetensors"))
        self.sentence_lstm = nn.LSTM(self.layers * self.encoder.config.hidden_size, units, bidirectional=True)
        self.sentence_lstm.load_state_dict({name.split(".", 1)[1]: w for name, w in weights.items() if name.startswith("sentence_lstm.")})
        self.classifier = nn.Linear(2 * units, len(self.names))
        self.classifier.load_state_dict({name.split(".", 1)[1]: w for name, w in weights.items() if name.startswith("classifier.")})
        zeros = torch.zeros(len(self.names))
        self.transitions = weights["crf.transitions"]
        self.start, self.end = weights.get("crf.start_transitions", zeros), weights.get("crf.end_transitions", zeros)

    def forward(self, words):
        """The score of each label for each word of a sentence."""
        pieces = self.tokenizer(words, is_split_into_words=True, return_tensors="pt")
        states = self.encoder(**pieces, output_hidden_states=True).hidden_states[-self.layers:]
        first = [pieces.word_ids().index(word) for word in range(len(words))]
        vectors = torch.cat([state[0, first] for state in states], dim=-1)
        return self.classifier(self.sentence_lstm(vectors)[0])

    def labels(self, logits):
        return [self.names[label] for label in best_labels(logits, self.transitions, self.start, self.end)]


if __name__ == "__main__":
    check(EncoderCRF)
