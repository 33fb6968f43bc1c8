#!/usr/bin/env python3
"""Point 5: checkpoints go both ways between isogloss and transformers, and give the same logits to 1e-4.

    python3 Tests/Peers/roundtrip.py --isogloss .build/release/isogloss --data en.dev.conll \\
        --saved runs/en/best --init all-minilm-l6-v2

`--saved` names checkpoints that isogloss saved (a softmax token classifier): each must load with
AutoModelForTokenClassification.from_pretrained. With `--init`, transformers puts a random head on that model and saves
it, and isogloss must load that. For each, the logits of the first sub-word of every word are compared with the
tensor `logits` [words, labels] of `isogloss predict --logits`, and the tags it writes with transformers' best labels
(words where the two best labels are closer than the tolerance are not compared).

Left out, and counted: sentences longer than the model's window (transformers cuts them, isogloss reads overlapping
windows) and sentences with a word that has no pieces. One line of JSON for each checkpoint; exit code 1 if one is
not met.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification, AutoTokenizer

from minilm import read_conll


def reference(folder, sentences):
    """The sentences that both read alike, and transformers' logits of their words."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForTokenClassification.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32)
    assert not info["missing_keys"], f"transformers finds no {info['missing_keys']} in {folder}"
    model.eval()
    window = model.config.max_position_embeddings - (model.config.pad_token_id + 1) * (model.config.model_type != "bert")
    kept, logits = [], []
    with torch.inference_mode():
        for words, tags in sentences:
            encoding = tokenizer(words, is_split_into_words=True)
            first = {}
            for place, word in enumerate(encoding.word_ids()):
                first.setdefault(word, place)
            first.pop(None, None)
            if len(encoding["input_ids"]) > window or len(first) < len(words):
                continue
            kept.append((words, tags))
            answer = model(input_ids=torch.tensor([encoding["input_ids"]])).logits[0]
            logits.append(answer[[first[i] for i in range(len(words))]])
    return kept, torch.cat(logits), [model.config.id2label[i] for i in range(model.config.num_labels)]


def compare(isogloss, folder, sentences, tolerance, saved_by):
    kept, logits, labels = reference(folder, sentences)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        text = "".join("".join(f"{w}\t{t}\n" for w, t in zip(*s)) + "\n" for s in kept)
        (scratch / "in.conll").write_text(text, encoding="utf-8")
        subprocess.run([isogloss, "predict", folder, "--input", scratch / "in.conll", "--output", scratch / "out.conll",
                        "--logits", scratch / "logits.safetensors"], check=True)
        ours = load_file(scratch / "logits.safetensors")["logits"]
        tags = [tag for _, tags in read_conll(scratch / "out.conll") for tag in tags]
    assert ours.shape == logits.shape, f"logits {tuple(ours.shape)}, and not {tuple(logits.shape)}"
    assert len(tags) == len(logits), f"{len(tags)} tags for {len(logits)} words"
    difference = (ours - logits).abs().max().item()
    best = logits.topk(2).values
    clear = (best[:, 0] - best[:, 1] > 2 * tolerance).tolist()
    wrong = sum(c and tag != labels[i] for c, tag, i in zip(clear, tags, logits.argmax(1).tolist()))
    met = difference <= tolerance and wrong == 0
    print(json.dumps({"point": 5, "checkpoint": str(folder), "saved_by": saved_by, "sentences": len(kept),
                      "sentences_left_out": len(sentences) - len(kept), "words": len(logits), "tags_that_differ": wrong,
                      "largest_difference": difference, "tolerance": tolerance, "met": met}), flush=True)
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True, help="the program")
    parser.add_argument("--data", required=True, help="a CoNLL file")
    parser.add_argument("--saved", nargs="*", default=[], help="checkpoints that isogloss saved")
    parser.add_argument("--init", help="a pretrained model that transformers is to put a head on and save")
    parser.add_argument("--sentences", type=int, default=500, help="how many of the file, evenly spaced; default 500")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    a = parser.parse_args()
    sentences = read_conll(a.data)
    count = min(a.sentences, len(sentences))
    sentences = [sentences[i * len(sentences) // count] for i in range(count)]
    results = [compare(a.isogloss, folder, sentences, a.tolerance, "isogloss") for folder in a.saved]
    if a.init:
        labels = sorted({tag for _, tags in sentences for tag in tags})
        torch.manual_seed(0)
        model = AutoModelForTokenClassification.from_pretrained(
            a.init, num_labels=len(labels), id2label=dict(enumerate(labels)), label2id={t: i for i, t in enumerate(labels)})
        torch.nn.init.normal_(model.classifier.weight, std=0.2)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            AutoTokenizer.from_pretrained(a.init).save_pretrained(folder)
            results.append(compare(a.isogloss, folder, sentences, a.tolerance, "transformers"))
    if not results:
        parser.error("name checkpoints with --saved, or a model with --init")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
