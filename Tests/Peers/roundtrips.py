#!/usr/bin/env python3
"""Checkpoints go both ways between isogloss and transformers: BERT, RoBERTa and XLM-R, each with four heads and ways of storing.

    roundtrips.py --isogloss .build/release/isogloss [--work DIR]

transformers makes each model with random weights and saves it: a token classifier (fp32, one file; and bf16 in shards), a masked
language model whose decoder is its word table, and one whose decoder is not (bf16). isogloss reads it, trains it for some steps on a sample
of its own and saves it, once with a chain (CRF) on the classifier; transformers reads that. Each time the logits have to agree to 1e-4 of
the larger of 1 and themselves, and config.json to have the same values. One line of JSON for each; exit code 1 if one is not met.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import (AutoConfig, AutoModelForMaskedLM, AutoModelForTokenClassification, AutoTokenizer,
                          BertConfig, RobertaConfig, XLMRobertaConfig)

from minilm import read_conll
from roundtrip import reference

TOLERANCE = 1e-4
FAMILIES = {"bert": BertConfig, "roberta": RobertaConfig, "xlm-roberta": XLMRobertaConfig}
KINDS = ("tokens", "chain", "tied", "untied")
# What transformers writes down of itself, and what training changes.
OWN_KEYS = {"transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures", "id2label", "label2id",
            "use_cache", "classifier_dropout", "problem_type"}


def program(isogloss, *arguments, text=None):
    answer = subprocess.run([isogloss, *map(str, arguments)], input=text, text=True, capture_output=True)
    assert answer.returncode == 0, f"isogloss {' '.join(map(str, arguments))}: {answer.stderr.strip().splitlines()[-1:]}"
    return answer.stdout


def make(family, kind, tokenizer, labels, folder):
    """A model of random weights, saved by transformers."""
    torch.manual_seed(len(family) + KINDS.index(kind))
    config = FAMILIES[family](
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=130, type_vocab_size=2 if family == "bert" else 1, pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=kind != "untied")
    if kind in ("tokens", "chain"):
        config.num_labels, config.id2label = len(labels), dict(enumerate(labels))
        config.label2id = {label: i for i, label in enumerate(labels)}
        model = AutoModelForTokenClassification.from_config(config)
    else:
        model = AutoModelForMaskedLM.from_config(config)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if "orm.weight" in name else 0.0, std=0.1)
    model.tie_weights()
    if kind in ("chain", "untied"):
        model = model.to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="50KB" if kind in ("chain", "tied") else "1GB")
    tokenizer.save_pretrained(folder)


def token_difference(isogloss, folder, sentences, scratch):
    kept, logits, labels = reference(folder, sentences)
    text = "".join("".join(f"{w}\t{t}\n" for w, t in zip(*s)) + "\n" for s in kept)
    (scratch / "in.conll").write_text(text, encoding="utf-8")
    program(isogloss, "predict", folder, "--input", scratch / "in.conll", "--output", scratch / "out.conll",
            "--logits", scratch / "logits.safetensors")
    ours = load_file(scratch / "logits.safetensors")["logits"]
    assert ours.shape == logits.shape, f"logits {tuple(ours.shape)}, and not {tuple(logits.shape)}"
    return ((ours - logits).abs() / logits.abs().clamp(min=1)).max().item()


def mask_difference(isogloss, folder, sentences):
    """The largest difference of the logarithms of the scores of the likeliest tokens: differences of logits."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    missing = [key for key in info["missing_keys"] if not key.endswith(("lm_head.bias", "predictions.bias"))]
    assert not missing, f"transformers finds no {missing} in {folder}"
    model.eval()
    lines = [" ".join(words[:20] + [tokenizer.mask_token]) for words, _ in sentences]
    rows = [json.loads(row) for row in program(isogloss, "fill-mask", folder, "--json", text="\n".join(lines) + "\n").splitlines()]
    worst = 0.0
    for number, line in enumerate(lines):
        ids = tokenizer(line, return_tensors="pt").input_ids
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, ids[0].tolist().index(tokenizer.mask_token_id)].double()
        scores = logits[:len(tokenizer)].log_softmax(-1)
        for row in rows:
            if row["line"] == number + 1:
                worst = max(worst, abs(torch.tensor(row["score"]).double().log().item() - scores[row["token"]].item()))
    assert len(rows) >= len(lines), f"{len(rows)} guesses for {len(lines)} lines"
    return worst


def differing_keys(before, after):
    old, new = (json.loads((pathlib.Path(d) / "config.json").read_text()) for d in (before, after))
    return sorted(k for k in set(old) | set(new) if k not in OWN_KEYS and old.get(k) != new.get(k)
                  and not (old.get(k) is None and new.get(k) is None))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True)
    parser.add_argument("--work", help="keeps the checkpoints there")
    a = parser.parse_args()
    isogloss = str(pathlib.Path(a.isogloss).resolve())
    holder = None if a.work else tempfile.TemporaryDirectory()
    work = pathlib.Path(a.work or holder.name)
    work.mkdir(parents=True, exist_ok=True)
    program(isogloss, "sample", "--out", work / "sample", "--languages", "en", "--sentences", 200, "--seed", 5)
    sentences = read_conll(work / "sample/en.dev.conll")[:30]
    labels = sorted({tag for _, tags in read_conll(work / "sample/en.train.conll") for tag in tags})
    text = [" ".join(words) for words, _ in read_conll(work / "sample/en.train.conll")]
    (work / "en.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    program(isogloss, "tokenizer", "train", "--input", f"en={work}/en.txt", "--vocab-size", 400, "--out", work / "pieces")
    bert = AutoTokenizer.from_pretrained(work / "sample/tokenizer")
    if bert.mask_token is None:
        bert.add_special_tokens({"mask_token": "[MASK]"})
    pieces = AutoTokenizer.from_pretrained(work / "pieces")
    failed = False
    for family in FAMILIES:
        tokenizer = bert if family == "bert" else pieces
        for kind in KINDS:
            theirs, run = work / family / kind, work / family / f"{kind}-run"
            make(family, kind, tokenizer, labels, theirs)
            is_tagger = kind in ("tokens", "chain")
            measure = ((lambda d: token_difference(isogloss, d, sentences, work)) if is_tagger
                       else (lambda d: mask_difference(isogloss, d, sentences)))
            there = measure(theirs)
            settings = {"task": "token-classification" if is_tagger else "masked-lm", "init": str(theirs), "max_steps": 3,
                        "learning_rate": 1e-3, "max_shard_mb": 1,
                        "save_dtype": "bf16" if kind in ("chain", "untied") else "fp32"}
            if is_tagger:
                settings |= {"languages": {"en": {"train": [str(work / "sample/en.train.conll")]}},
                             "per_step_sentences": 16, "head": "crf" if kind == "chain" else "softmax"}
            else:
                packed = work / family / f"{kind}-packed"
                program(isogloss, "data", "pack", "--input", f"en={work}/en.txt", "--tokenizer", theirs, "--out", packed)
                settings |= {"languages": {"en": {"train": [str(packed / "en/train")]}}, "per_step_tokens": 512, "max_length": 64}
            (work / "run.yaml").write_text(json.dumps(settings))
            program(isogloss, "train", work / "run.yaml", "--out", run)
            model = run / "train/model"
            back = measure(model)
            keys = differing_keys(theirs, model)
            met = there <= TOLERANCE and back <= TOLERANCE and not keys
            failed |= not met
            print(json.dumps({"family": family, "kind": kind, "difference_there": there, "difference_back": back,
                              "config_keys_that_differ": keys, "met": met}), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
