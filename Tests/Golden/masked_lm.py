#!/usr/bin/env python3
"""Tiny masked language models with their losses, gradients and a short training, for Tests/ModelTests.

    python3 Tests/Golden/masked_lm.py Tests/ModelTests/Fixtures
    python3 Tests/Golden/masked_lm.py DIR --large      a model of a real size, for ISOGLOSS_MASKED_LM_REFERENCE=DIR

needs torch, transformers and safetensors. Made with torch 2.13 and transformers 5.23.

`masked-bert/` and `masked-xlm-roberta/` are checkpoints as `save_pretrained` writes them: 2 layers of width 16 (2 heads,
inner width 24), 50 ids, decoder tied to the word table, random weights of which none is zero or one.

`expected-masked-<model>.safetensors`, floats F32, integers I32, computed in float64 from the fp32 weights, without dropout
and without padding, and rounded once:

    ids [100, 27]      the masked tokens of 100 batches; id 4 is the mask
    wanted [100, 27]   the token that was masked there, −100 where none was
    bounds [5] = 0 5 6 15 27: four sequences
    scores [masked of batch 0, 50]
    loss [1]           of batch 0: cross entropy in nats, the mean over its masked tokens
    grad.<name>        the gradient of `loss` by each parameter, named as in the checkpoint
    losses [100]       of a training on one batch a step: AdamW with decay 0.01 on all, gradients clipped at 1
    rate [1]           its learning rate

With --large there is one model, XLM-R of 8 layers of width 256 with 32,002 ids and transformers' own random weights, and
batches of 1,024 tokens in 16 sequences: ten minutes on one core. (In float32 PyTorch itself strays from its float64 by 6 %
where a loss jumps.)
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

SHAPE = dict(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
             attn_implementation="eager")
MODELS = {
    "bert": (BertForMaskedLM, BertConfig(**SHAPE, type_vocab_size=2, max_position_embeddings=16)),
    "xlm-roberta": (XLMRobertaForMaskedLM, XLMRobertaConfig(
        **SHAPE, type_vocab_size=1, max_position_embeddings=18, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
        eos_token_id=2)),
}
BOUNDS = [0, 5, 6, 15, 27]
LARGE = {
    "xlm-roberta": (XLMRobertaForMaskedLM, XLMRobertaConfig(
        vocab_size=32002, hidden_size=256, num_hidden_layers=8, num_attention_heads=8, intermediate_size=1024,
        attn_implementation="eager", type_vocab_size=1, max_position_embeddings=130, layer_norm_eps=1e-5, pad_token_id=1,
        bos_token_id=0, eos_token_id=2)),
}
STEPS = 100


def scores(model, ids, bounds):
    return torch.cat([model(input_ids=ids[None, a:b]).logits[0] for a, b in zip(bounds, bounds[1:])])


def main():
    folder = pathlib.Path(sys.argv[1])
    large = "--large" in sys.argv
    bounds = list(range(0, 1025, 64)) if large else BOUNDS
    tokens = bounds[-1]
    for seed, (name, (kind, config)) in enumerate((LARGE if large else MODELS).items()):
        generator = torch.Generator().manual_seed(70 + seed)
        torch.manual_seed(70 + seed)
        model = kind(config).eval()
        for key, p in [] if large else model.named_parameters():
            p.data = torch.randn(p.shape, generator=generator) * (0.4 if p.ndim > 1 else 0.2)
            if key.lower().endswith(("layernorm.weight", "layer_norm.weight")):
                p.data += 1
        model.tie_weights()
        model.save_pretrained(folder / f"masked-{name}")

        # Text with something to learn: each id follows from the one before, but for some noise.
        words = config.vocab_size - 5
        ids = torch.randint(5, config.vocab_size, (STEPS, tokens), generator=generator)
        for column in range(1, tokens):
            follows = torch.rand(STEPS, generator=generator) < 0.8
            ids[:, column] = torch.where(follows, (ids[:, column - 1] * 7 + 3) % words + 5, ids[:, column])
        chosen = torch.rand(ids.shape, generator=generator) < 0.25
        chosen[:, 3] = True
        wanted = torch.where(chosen, ids, -100)
        ids = torch.where(chosen & (torch.rand(ids.shape, generator=generator) < 0.8), 4, ids)

        model.double()
        out = dict(ids=ids, wanted=wanted, bounds=torch.tensor(bounds))
        z = scores(model, ids[0], bounds)
        loss = torch.nn.functional.cross_entropy(z, wanted[0])
        loss.backward()
        out |= dict(scores=z[chosen[0]][:50], loss=loss.reshape(1))
        # The tied matrix is in a checkpoint under the embedding's name.
        table = f"{'bert' if name == 'bert' else 'roberta'}.embeddings.word_embeddings.weight"
        out |= {f"grad.{table if n.endswith('decoder.weight') else n}": p.grad.clone() for n, p in model.named_parameters()}

        rate = 3e-4 if large else 1e-3
        out["rate"] = torch.tensor([rate])
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, foreach=False, fused=False)
        losses = []
        for step in range(STEPS):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(scores(model, ids[step], bounds), wanted[step])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            losses.append(loss.detach())
        out["losses"] = torch.stack(losses)
        print(name, [round(float(x), 3) for x in losses[::11]], sorted(k for k in out if k.startswith("grad."))[-8:])

        out = {k: (v.float() if v.is_floating_point() else v.to(torch.int32)).detach().contiguous() for k, v in out.items()}
        save_file(out, folder / f"expected-masked-{name}.safetensors")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--large"]):
        sys.exit(__doc__)
    main()
