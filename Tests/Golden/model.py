#!/usr/bin/env python3
"""Tiny BERT, RoBERTa and XLM-R checkpoints with their hidden states and gradients, for Tests/ModelTests.

    python3 Tests/Golden/model.py Tests/ModelTests/Fixtures

needs torch, transformers and safetensors. Made with torch 2.13 and transformers 5.23.

Each model has 2 layers of width 16 (2 heads, inner width 24), 50 ids, 3 labels, and random weights of
which none is zero or one. Checkpoints, as `save_pretrained` writes them:

    bert/           one file, fp32: the token classifier
    roberta/        the same for RoBERTa: pad id 1, positions from 2, one token type, eps 1e-5
    xlm-roberta/    the same for XLM-R
    bert-sharded/   bert/ in an index and several shards
    bert-bf16/      bert/ rounded to bfloat16
    bert-fp16/      bert/ rounded to float16
    bert-base/      bert/ without the `bert.` prefix and without the classifier, but with a pooler and
                    the `embeddings.position_ids` that older versions saved (neither is used)

`expected-<model>.safetensors` for bert, roberta and xlm-roberta, floats F32, integers I32. Values are
computed in float64 from the fp32 weights, without dropout and without padding, and rounded once:

    ids [27], types [27], labels [27] (−100 is not scored), bounds [5] = 0 5 6 15 27: four sequences
    hidden.0 … hidden.2 [27, 16]   the embeddings' output, then each layer's
    logits [27, 3]
    loss [1]          cross entropy in nats, the mean over the scored tokens of all four sequences
    weight [1]        the number of scored tokens
    grad.<name>       the gradient of `loss` by each parameter, named as in the checkpoint
    bf16.logits, fp16.logits [27, 3]   bert only: from the rounded weights, in float64
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForTokenClassification, BertModel, RobertaConfig,
                          RobertaForTokenClassification, XLMRobertaConfig, XLMRobertaForTokenClassification)

SHAPE = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
             attn_implementation="eager", id2label={0: "O", 1: "B-PER", 2: "I-PER"}, label2id={"O": 0, "B-PER": 1, "I-PER": 2})
LATER = dict(type_vocab_size=1, max_position_embeddings=18, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)
BOUNDS = [0, 5, 6, 15, 27]
MODELS = {
    "bert": (BertForTokenClassification, BertConfig(**SHAPE, type_vocab_size=2, max_position_embeddings=16)),
    "roberta": (RobertaForTokenClassification, RobertaConfig(**SHAPE, **LATER)),
    "xlm-roberta": (XLMRobertaForTokenClassification, XLMRobertaConfig(**SHAPE, **LATER)),
}


def fill(model, generator):
    """Random weights: matrices wide enough that attention and GELU leave their linear range."""
    for name, p in model.named_parameters():
        scale = 0.4 if p.ndim > 1 else 0.2
        p.data = torch.randn(p.shape, generator=generator) * scale
        if name.endswith("LayerNorm.weight"):
            p.data += 1


def forward(model, ids, types):
    """Hidden states [layers + 1][tokens, width] and logits [tokens, labels] of the packed sequences, one at a time."""
    hidden, logits = [], []
    for a, b in zip(BOUNDS, BOUNDS[1:]):
        answer = model(input_ids=ids[None, a:b], token_type_ids=types[None, a:b], output_hidden_states=True)
        hidden.append([h[0] for h in answer.hidden_states])
        logits.append(answer.logits[0])
    return [torch.cat(layer) for layer in zip(*hidden)], torch.cat(logits)


def main():
    folder = pathlib.Path(sys.argv[1])
    for seed, (name, (kind, config)) in enumerate(MODELS.items()):
        generator = torch.Generator().manual_seed(seed)
        model = kind(config).eval()
        fill(model, generator)
        model.save_pretrained(folder / name)
        ids = torch.randint(3, 50, (27,), generator=generator)
        ids[20] = ids[21] = ids[3]
        types = torch.randint(0, config.type_vocab_size, (27,), generator=generator)
        labels = torch.randint(0, 3, (27,), generator=generator)
        labels[torch.randperm(27, generator=generator)[:9]] = -100

        saved = {k: v.clone() for k, v in model.state_dict().items()}
        model.double()
        hidden, logits = forward(model, ids, types)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        out = dict(ids=ids, types=types, labels=labels, bounds=torch.tensor(BOUNDS), logits=logits,
                   loss=loss.reshape(1), weight=(labels >= 0).sum().double().reshape(1))
        out |= {f"hidden.{i}": h for i, h in enumerate(hidden)}
        out |= {f"grad.{n}": p.grad for n, p in model.named_parameters()}
        assert all(p.grad is not None for p in model.parameters())

        if name == "bert":
            for short, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
                rounded = kind(config).eval()
                rounded.load_state_dict(saved)
                rounded.to(dtype)
                rounded.config.dtype = dtype
                rounded.save_pretrained(folder / f"bert-{short}")
                with torch.no_grad():
                    out[f"{short}.logits"] = forward(rounded.double(), ids, types)[1]
            whole = kind(config)
            whole.load_state_dict(saved)
            whole.save_pretrained(folder / "bert-sharded", max_shard_size="10KB")
            base = BertModel(config)
            fill(base, generator)
            base.load_state_dict({k.removeprefix("bert."): v for k, v in saved.items() if k.startswith("bert.")}, strict=False)
            base.save_pretrained(folder / "bert-base")
            file = folder / "bert-base" / "model.safetensors"
            save_file(load_file(file) | {"embeddings.position_ids": torch.arange(16)[None]}, file, {"format": "pt"})

        out = {k: (v.float() if v.is_floating_point() else v.to(torch.int32)).detach().contiguous() for k, v in out.items()}
        save_file(out, folder / f"expected-{name}.safetensors")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
