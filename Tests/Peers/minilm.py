#!/usr/bin/env python3
"""What transformers and PyTorch make of MiniLM: hidden states, gradients and losses, written for the Swift tests.

    python3 Tests/Peers/minilm.py --checkpoint all-minilm-l6-v2 --data en.dev.conll --out DIR

then `ISOGLOSS_MINILM_REFERENCE=DIR swift test …` compares. Takes about a minute and 230 MB of disk. All in float32,
as transformers runs; prints one JSON line.

DIR then holds

    checkpoint/     the model with a token classification head of as many labels as the file has tags (sorted by
                    their letters; CoNLL has 9), weights of the head drawn from --seed, as `save_pretrained` writes
                    it, with the tokenizer. The gradients and the losses start from it.
    reference.json  {"labels": [...], "data": path, "hidden_sentences": [200 sentence numbers from 0],
                    "steps": 20, "batch_size": 32, "learning_rate", "weight_decay", "max_grad_norm", "betas", "eps",
                    "torch", "transformers"}
    reference.safetensors   floats F32, integers I32, sequences packed one after the other without padding;
                    each begins with [CLS] and ends with [SEP]

Tensors. T tokens, S sequences; bounds go from 0 to T in S + 1 entries.

    hidden.ids, hidden.positions [T], hidden.bounds [201]   200 sentences, evenly spaced over the file; token types 0
    hidden.0 … hidden.6 [T, 384]   the embeddings' output (after LayerNorm), then each layer's, of the base model
    steps.ids, steps.positions, steps.labels [T]   20 × 32 sentences, the first of the file in its order; a label is at
                    the first sub-word of each word, −100 at every other token
    steps.bounds [641]      token bounds of the sentences
    steps.batches [21]      sentence bounds of the steps: 0, 32, 64 …
    gradient.loss [1]       of the first batch: the mean cross entropy over its labelled tokens, dropout 0
    gradient.<parameter>    of that loss, before clipping, for every parameter of checkpoint/, named as there
    train.losses [20]       the loss of each batch before its step: AdamW (betas 0.9 and 0.999, eps 1e-8), constant
                    learning rate 1e-4, weight decay 0.01 on parameters of two dimensions and 0 on the others,
                    gradients clipped to a norm of 1 over all of them, dropout 0
    train.norms [20]        the norm of each step's gradient before clipping
"""
import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer


def read_conll(path):
    sentences, words, tags = [], [], []
    for line in [*open(path, encoding="utf-8"), "\n"]:
        columns = line.rstrip("\n").split("\t") if "\t" in line else line.split()
        if columns and columns[0].strip():
            words.append(columns[0])
            tags.append(columns[-1])
        elif words:
            sentences.append((words, tags))
            words, tags = [], []
    return sentences


def encode(tokenizer, words, tags, labels):
    """The ids of a sentence and their labels: a word's at its first sub-word, −100 elsewhere."""
    encoding = tokenizer(words, is_split_into_words=True)
    owners = encoding.word_ids()
    found = [-100 if w is None or w == before else labels.index(tags[w])
             for before, w in zip([None, *owners], owners)]
    return encoding["input_ids"], found


def packed(prefix, sequences):
    ids, labels = ([x for s in sequences for x in s[i]] for i in (0, 1))
    lengths = torch.tensor([0] + [len(s[0]) for s in sequences])
    assert lengths.max() <= 512, "a sentence is longer than the model's window"
    return {f"{prefix}.ids": torch.tensor(ids), f"{prefix}.labels": torch.tensor(labels),
            f"{prefix}.bounds": lengths.cumsum(0),
            f"{prefix}.positions": torch.cat([torch.arange(n) for n in lengths])}


def loss_of(model, batch, pad):
    width = max(len(ids) for ids, _ in batch)

    def tensor(index, fill):
        return torch.tensor([s[index] + [fill] * (width - len(s[index])) for s in batch])
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in batch])
    return model(input_ids=tensor(0, pad), attention_mask=mask, labels=tensor(1, -100)).loss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="the MiniLM folder")
    parser.add_argument("--data", required=True, help="a CoNLL file of real sentences, English dev")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    steps, size, rate, decay, clip = 20, 32, 1e-4, 0.01, 1.0

    sentences = read_conll(a.data)
    labels = sorted({tag for _, tags in sentences for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(a.checkpoint)
    torch.manual_seed(a.seed)
    model = AutoModelForTokenClassification.from_pretrained(
        a.checkpoint, num_labels=len(labels), id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)}).eval()  # eval: dropout 0, gradients all the same
    model.save_pretrained(a.out / "checkpoint")
    tokenizer.save_pretrained(a.out / "checkpoint")

    chosen = [i * len(sentences) // 200 for i in range(200)]
    sequences = [encode(tokenizer, *sentences[i], labels) for i in chosen]
    out = packed("hidden", sequences)
    del out["hidden.labels"]
    states = []
    with torch.no_grad():
        for ids, _ in sequences:
            states.append(model.base_model(torch.tensor([ids]), output_hidden_states=True).hidden_states)
    out |= {f"hidden.{layer}": torch.cat([s[layer][0] for s in states]) for layer in range(len(states[0]))}

    sequences = [encode(tokenizer, *s, labels) for s in sentences[:steps * size]]
    batches = [sequences[i:i + size] for i in range(0, len(sequences), size)]
    out |= packed("steps", sequences)
    out["steps.batches"] = torch.arange(0, steps * size + 1, size)
    parameters = dict(model.named_parameters())
    optimiser = torch.optim.AdamW(
        [{"params": [p for p in parameters.values() if p.ndim > 1], "weight_decay": decay},
         {"params": [p for p in parameters.values() if p.ndim <= 1], "weight_decay": 0.0}],
        lr=rate, betas=(0.9, 0.999), eps=1e-8, foreach=False, fused=False)
    losses, norms = [], []
    for step, batch in enumerate(batches):
        optimiser.zero_grad()
        loss = loss_of(model, batch, tokenizer.pad_token_id)
        loss.backward()
        if step == 0:
            out["gradient.loss"] = loss.reshape(1)
            out |= {f"gradient.{name}": p.grad.clone() for name, p in parameters.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), clip))
        optimiser.step()
        losses.append(loss.detach())
    out |= {"train.losses": torch.stack(losses), "train.norms": torch.stack(norms)}

    out = {k: (v.detach() if v.is_floating_point() else v.to(torch.int32)).contiguous() for k, v in out.items()}
    save_file(out, a.out / "reference.safetensors")
    facts = {"labels": labels, "data": a.data, "hidden_sentences": chosen, "steps": steps, "batch_size": size,
             "learning_rate": rate, "weight_decay": decay, "max_grad_norm": clip, "betas": [0.9, 0.999], "eps": 1e-8,
             "torch": torch.__version__, "transformers": transformers.__version__}
    (a.out / "reference.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps({"point": 2, "out": str(a.out), "hidden_tokens": len(out["hidden.ids"]),
                      "first_loss": round(losses[0].item(), 5), "last_loss": round(losses[-1].item(), 5),
                      "largest_gradient": max(p.abs().max().item() for k, p in out.items()
                                              if k.startswith("gradient.") and k != "gradient.loss")}))


if __name__ == "__main__":
    main()
