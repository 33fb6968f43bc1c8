#!/usr/bin/env python3
"""The same work in PyTorch and transformers as `isogloss bench train` and `isogloss predict`: one line of JSON.

    python3 Tests/Peers/torch_bench.py train --shape mini --data en.train.conll --tokenizer sp32k.model --group
    python3 Tests/Peers/torch_bench.py predict --model runs/en/train/model --data en.test.conll

`train` makes an XLM-R token classifier of random weights and runs forward, backward, clipping at 1 and fused AdamW over
batches of real sentences, every token labelled with its id modulo 9. `--group` sorts sentences by length within 50
batches, as transformers' group_by_length does; without it batches are padded as they come. Tokens are real ones, not
padding; the first three steps are not timed. `predict` tags files in batches sorted by length; loading is not timed.
"""
import argparse
import json
import random
import resource
import time

import torch

from minilm import read_conll

SHAPES = {"mini": (32_002, 384, 6, 1536), "base": (250_002, 768, 12, 3072)}
WARMUP, LONGEST, LABELS, PAD = 3, 256, 9, 1


def peak_gb():
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3)


def sequences(a):
    import sentencepiece
    model = sentencepiece.SentencePieceProcessor(model_file=a.tokenizer)
    found = []
    for path in a.data:
        for words, _ in read_conll(path):
            pieces = [i + 1 for ids in model.encode(words) for i in ids]  # XLM-R's ids
            found.append([0, *pieces, 2][:LONGEST])
    if a.length:
        stream = [i for ids in found for i in ids]
        found = [stream[at:at + a.length] for at in range(0, len(stream) - a.length, a.length)]
    random.Random(0).shuffle(found)
    return found


def in_batches(found, a):
    """The sentences of each step: shuffled again, and with --group sorted within 50 batches and the batches shuffled."""
    draw = random.Random(0)
    order = list(range(len(found)))
    draw.shuffle(order)
    if a.group:
        wide = 50 * a.batch_size
        order = [i for at in range(0, len(order), wide) for i in sorted(order[at:at + wide], key=lambda i: -len(found[i]))]
    steps = [order[at:at + a.batch_size] for at in range(0, len(order), a.batch_size)]
    if a.group:
        draw.shuffle(steps)
    flat = [found[i] for step in steps for i in step]
    return lambda step: flat[step * a.batch_size:(step + 1) * a.batch_size]


def train(a):
    started = time.time()
    from transformers import XLMRobertaConfig, XLMRobertaForTokenClassification
    torch.manual_seed(0)
    vocabulary, width, layers, inner = SHAPES[a.shape]
    model = XLMRobertaForTokenClassification(XLMRobertaConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=12, intermediate_size=inner,
        max_position_embeddings=514, type_vocab_size=1, num_labels=LABELS, pad_token_id=PAD, bos_token_id=0, eos_token_id=2)).train()
    batch_of = in_batches(sequences(a), a)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=True)
    tokens = 0
    for step in range(WARMUP + a.steps):
        if step == WARMUP:
            tokens, begin = 0, time.perf_counter()
        batch = batch_of(step)
        longest = max(map(len, batch))
        ids = torch.tensor([ids + [PAD] * (longest - len(ids)) for ids in batch])
        real = ids != PAD
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16"):
            loss = model(input_ids=ids, attention_mask=real.long(), labels=torch.where(real, ids % LABELS, -100)).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        tokens += sum(map(len, batch))
        if step == 0:
            first = time.time() - started
    seconds = time.perf_counter() - begin
    return {"loss": round(loss.item(), 5), "real_tokens_per_s": round(tokens / seconds), "step_ms": round(1000 * seconds / a.steps, 1),
            "first_step_s": round(first, 2)}


def predict(a):
    from transformers import AutoModelForTokenClassification, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    model = AutoModelForTokenClassification.from_pretrained(a.model).eval()
    words = [words for path in a.data for words, _ in read_conll(path)]
    begin = time.perf_counter()
    order = sorted(words, key=len)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16"):
        for at in range(0, len(order), a.batch_size):
            batch = tokenizer(order[at:at + a.batch_size], is_split_into_words=True, padding=True, truncation=True,
                              max_length=512, return_tensors="pt")
            model(**batch).logits.argmax(-1)
    return {"words_per_s": round(sum(map(len, words)) / (time.perf_counter() - begin))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", required=True)
    for job in (jobs.add_parser("train"), jobs.add_parser("predict")):
        job.add_argument("--data", nargs="+", required=True, help="CoNLL files")
        job.add_argument("--batch-size", type=int, default=32)
        job.add_argument("--threads", type=int, default=2)
        job.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    job.add_argument("--model", required=True, help="a token classifier that transformers loads")
    job = jobs.choices["train"]
    job.add_argument("--shape", choices=SHAPES, default="mini")
    job.add_argument("--tokenizer", required=True, help="a SentencePiece model")
    job.add_argument("--steps", type=int, default=20)
    job.add_argument("--length", type=int, default=0, help="cut one stream into sequences of so many tokens")
    job.add_argument("--group", action="store_true", help="batches of like length")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    result = train(a) if a.job == "train" else predict(a)
    print(json.dumps({"stack": "torch " + torch.__version__, "precision": a.precision, **result, "peak_gb": peak_gb()}))


if __name__ == "__main__":
    main()
