#!/usr/bin/env python3
"""Values and gradients of every operation from PyTorch, for Tests/TensorsTests.

    python3 Tests/Golden/ops.py Tests/TensorsTests/Fixtures/ops.safetensors

needs torch, numpy, safetensors and pytorch-crf. Made with torch 2.13 and pytorch-crf 0.7.2.

Inputs are float32. Everything but AdamW is computed in float64 from them and rounded once, so that a
stored value is within half an ulp of the true one. AdamW is PyTorch's own float32 loop
(foreach=False, fused=False), because there the roundings are what is compared.

Tensors are named `<operation>.<what>`; floats are F32, integers I32. `dout` is the gradient that comes
from above, `d<input>` the gradient of that input.

    linear       x [13, 24], w [40, 24] (out, in), b [40], out = x·wᵀ + b, dout; dx, dw, db
    gelu         x [512] (with 0, −0 and ±30), out = x·Φ(x), dout; dx
    tanh         as gelu
    layernorm    x [9, 16], residual [9, 16], gamma [16], beta [16], dout. For <e> of 1e-12 and 1e-5:
                 out.<e> = LayerNorm(x + residual); dx.<e> (also that of residual), dgamma.<e>, dbeta.<e>.
                 x + residual is exact in float32. Row 3 of it is constant: its variance is 0, out is beta,
                 and dx.1e-12 is of the order of 1e6. Row 4 has a mean near 100
    embedding    word [50, 16], position [12, 16], type [2, 16], ids [20], positions [20], types [20],
                 out [20, 16] = the sum of the three rows, dout; dword, dposition, dtype
    attention    qkv [20, 96] (q | k | v of 32 columns, each 4 heads of 8), bounds [4] = 0 1 8 20,
                 out [20, 32] = softmax(q·kᵀ/√8)·v in each sequence, dout; dqkv
    crossentropy logits [14, 5], labels [14] (−100 is not scored), weight [1] = scored tokens. For <s> of
                 0 and 0.1: loss.<s> [1], the sum over scored tokens of
                 (1 − s)·(−log p[y]) + s/5·Σ(−log p[k]); dlogits.<s> of that sum
    crf          emissions [11, 5], bounds [4] = 0 1 5 11, labels [11], start [5], end [5],
                 transitions [5, 5] (from, to), loss [1] = the sum of −log p of the three sentences;
                 demissions, dstart, dend, dtransitions of it; logpartition [3], viterbi [11] (best
                 labels), viterbiscore [3], marginals [11, 5] (by enumerating every path)
    adamw        gradients [30, 37], p0 [37], norms [30] (before clipping), clipped [30, 37] (each step's
                 gradient after clip_grad_norm_ at 1), settings [4] = lr, beta1, beta2, eps, rounded from
                 0.01, 0.9, 0.999, 1e-8, which PyTorch holds as doubles. For <d> of 0 and 0.01 (weight
                 decay): p.<d> [30, 37] after each step, m.<d> [37] and v.<d> [37] at the end
    lstm         two bidirectional layers of 6 units, nn.LSTM over packed sequences: x [16, 10], bounds [5] = 0 1 6 9 16.
                 For <k> of 0, 0r, 1 and 1r (layer, r of the backward direction): w.<k> [24, 10 or 12], u.<k> [24, 6],
                 b.<k> [24], the sum of PyTorch's two. For <l> of 0 and 1, columns of the forward direction first:
                 h0.<l> and c0.<l> [4, 12], hn.<l> and cn.<l> [4, 12], and dhn.<l>, dcn.<l> from above;
                 out [16, 12] of the second layer, dout; dx, dw.<k>, du.<k>, db.<k>, dh0.<l>, dc0.<l>
"""
import itertools
import sys

import torch
from safetensors.torch import save_file
from torchcrf import CRF

out = {}
generator = torch.Generator().manual_seed(20240607)


def normal(*shape, scale=1.0):
    """Random float32 values, held in float64."""
    return (torch.randn(*shape, generator=generator) * scale).double()


def keep(operation, **tensors):
    for name, value in tensors.items():
        value = value.detach()
        value = value.to(torch.int32) if not value.is_floating_point() else value.float()
        out[f"{operation}.{name}"] = value.contiguous().clone()


def gradients(result, dout, *inputs):
    return torch.autograd.grad(result, inputs, dout)


def linear():
    x, w, b = normal(13, 24), normal(40, 24), normal(40)
    dout = normal(13, 40)
    for t in (x, w, b):
        t.requires_grad_()
    y = torch.nn.functional.linear(x, w, b)
    dx, dw, db = gradients(y, dout, x, w, b)
    keep("linear", x=x, w=w, b=b, out=y, dout=dout, dx=dx, dw=dw, db=db)


def elementwise(name, function):
    x = torch.cat([torch.tensor([0.0, -0.0, 30.0, -30.0, 1e-6, -1e-6]).double(), normal(506, scale=3)])
    x.requires_grad_()
    dout = normal(512)
    y = function(x)
    keep(name, x=x, out=y, dout=dout, dx=gradients(y, dout, x)[0])


def layernorm():
    x, residual = normal(9, 16), normal(9, 16)
    x[3], residual[3] = 0.5, 0.25
    x[4] += 100
    x, residual = (x * 1024).round() / 1024, (residual * 1024).round() / 1024  # so that the sum is exact
    gamma, beta = (normal(16) + 1).float().double(), normal(16)
    dout = normal(9, 16)
    for t in (x, residual, gamma, beta):
        t.requires_grad_()
    keep("layernorm", x=x, residual=residual, gamma=gamma, beta=beta, dout=dout)
    for eps in ("1e-12", "1e-5"):
        y = torch.nn.functional.layer_norm(x + residual, (16,), gamma, beta, float(eps))
        dx, dgamma, dbeta = gradients(y, dout, x, gamma, beta)
        keep("layernorm", **{f"out.{eps}": y, f"dx.{eps}": dx, f"dgamma.{eps}": dgamma, f"dbeta.{eps}": dbeta})


def embedding():
    word, position, kind = normal(50, 16), normal(12, 16), normal(2, 16)
    positions = torch.cat([torch.arange(n) for n in (1, 7, 12)])
    ids = torch.randint(0, 50, (20,), generator=generator)
    ids[:3] = ids[10]  # a row used several times
    types = torch.randint(0, 2, (20,), generator=generator)
    dout = normal(20, 16)
    for t in (word, position, kind):
        t.requires_grad_()
    y = word[ids] + position[positions] + kind[types]
    dword, dposition, dtype = gradients(y, dout, word, position, kind)
    keep("embedding", word=word, position=position, type=kind, ids=ids, positions=positions, types=types,
         out=y, dout=dout, dword=dword, dposition=dposition, dtype=dtype)


def attention():
    qkv, bounds = normal(20, 96), [0, 1, 8, 20]
    qkv.requires_grad_()
    dout = normal(20, 32)
    rows = []
    for a, b in zip(bounds, bounds[1:]):
        q, k, v = (t.reshape(b - a, 4, 8).transpose(0, 1) for t in qkv[a:b].split(32, dim=1))
        p = torch.softmax(q @ k.transpose(1, 2) / 8 ** 0.5, dim=-1)
        rows.append((p @ v).transpose(0, 1).reshape(b - a, 32))
    y = torch.cat(rows)
    keep("attention", qkv=qkv, bounds=torch.tensor(bounds), out=y, dout=dout, dqkv=gradients(y, dout, qkv)[0])


def crossentropy():
    logits = normal(14, 5, scale=3).requires_grad_()
    labels = torch.randint(0, 5, (14,), generator=generator)
    labels[[0, 4, 5, 13]] = -100
    keep("crossentropy", logits=logits, labels=labels, weight=(labels >= 0).sum().double().reshape(1))
    for smoothing in ("0", "0.1"):
        loss = torch.nn.CrossEntropyLoss(reduction="sum", label_smoothing=float(smoothing))(logits, labels)
        keep("crossentropy", **{f"loss.{smoothing}": loss.reshape(1),
                                f"dlogits.{smoothing}": torch.autograd.grad(loss, logits)[0]})


def crf():
    bounds, count = [0, 1, 5, 11], 5
    model = CRF(count, batch_first=True).double()
    for p in model.parameters():
        p.data = normal(*p.shape)
    emissions = normal(11, count, scale=2).requires_grad_()
    labels = torch.randint(0, count, (11,), generator=generator)
    loss, partitions, best, scores, marginals = 0, [], [], [], []
    start, end, step = model.start_transitions, model.end_transitions, model.transitions
    for a, b in zip(bounds, bounds[1:]):
        loss = loss - model(emissions[None, a:b], labels[None, a:b], reduction="sum")
        path = model.decode(emissions[None, a:b])[0]
        best += path
        # Every path: its score, from the definition.
        paths = torch.tensor(list(itertools.product(range(count), repeat=b - a)))
        with torch.no_grad():
            score = start[paths[:, 0]] + end[paths[:, -1]]
            for i in range(b - a):
                score = score + emissions[a + i][paths[:, i]]
                if i:
                    score = score + step[paths[:, i - 1], paths[:, i]]
            assert paths[score.argmax()].tolist() == path
            partitions.append(torch.logsumexp(score, 0))
            scores.append(score.max())
            weight = torch.softmax(score, 0)
            marginals += [torch.zeros(count).double().index_add(0, paths[:, i], weight) for i in range(b - a)]
            gold = (paths == labels[a:b]).all(1).nonzero().item()
            mine = partitions[-1] - score[gold]
        assert torch.isclose(-model(emissions[None, a:b], labels[None, a:b], reduction="sum"), mine)
    demissions, dstart, dend, dstep = torch.autograd.grad(loss, (emissions, start, end, step))
    keep("crf", emissions=emissions, bounds=torch.tensor(bounds), labels=labels, start=start, end=end,
         transitions=step, loss=loss.reshape(1), demissions=demissions, dstart=dstart, dend=dend,
         dtransitions=dstep, logpartition=torch.stack(partitions), viterbi=torch.tensor(best),
         viterbiscore=torch.stack(scores), marginals=torch.stack(marginals))


def adamw():
    steps, count = 30, 37
    raw = torch.randn(steps, count, generator=generator) * 0.25
    raw[7] *= 1e-3  # steps that are not clipped, and one clipped hard
    raw[8] *= 0.1
    raw[9] *= 1e3
    raw[:, 5] = 0  # an element that has no gradient at all
    first = torch.randn(count, generator=generator)
    lr, betas, eps = 1e-2, (0.9, 0.999), 1e-8
    keep("adamw", gradients=raw, p0=first, settings=torch.tensor([lr, *betas, eps], dtype=torch.float64))
    for decay in ("0", "0.01"):
        p = first.clone().requires_grad_()
        optimiser = torch.optim.AdamW([p], lr=lr, betas=betas, eps=eps, weight_decay=float(decay),
                                      foreach=False, fused=False)
        norms, clipped, after = [], [], []
        for gradient in raw:
            p.grad = gradient.clone()
            norms.append(torch.nn.utils.clip_grad_norm_([p], 1.0))
            clipped.append(p.grad.clone())
            optimiser.step()
            after.append(p.detach().clone())
        state = optimiser.state[p]
        keep("adamw", norms=torch.stack(norms), clipped=torch.stack(clipped),
             **{f"p.{decay}": torch.stack(after), f"m.{decay}": state["exp_avg"], f"v.{decay}": state["exp_avg_sq"]})


def lstm():
    bounds, units = [0, 1, 6, 9, 16], 6
    lengths = [b - a for a, b in zip(bounds, bounds[1:])]
    model = torch.nn.LSTM(10, units, num_layers=2, bidirectional=True, batch_first=True).double()
    for p in model.parameters():
        p.data = normal(*p.shape, scale=0.5)
    places = [("0", "l0"), ("0r", "l0_reverse"), ("1", "l1"), ("1r", "l1_reverse")]
    for _, place in places:  # one bias, which is representable
        getattr(model, f"bias_hh_{place}").data.zero_()
    x = normal(16, 10).requires_grad_()
    h0, c0 = normal(4, 4, units).requires_grad_(), normal(4, 4, units).requires_grad_()  # layer and direction, sequence
    packed = torch.nn.utils.rnn.pack_sequence(x.split(lengths), enforce_sorted=False)
    states, (hn, cn) = model(packed, (h0, c0))
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    y = torch.cat([padded[i, :n] for i, n in enumerate(lengths)])
    dout, dhn, dcn = normal(16, 2 * units), normal(4, 4, units), normal(4, 4, units)
    parameters = [getattr(model, f"{kind}_{place}") for _, place in places for kind in ("weight_ih", "weight_hh", "bias_ih")]
    found = torch.autograd.grad((y, hn, cn), (x, h0, c0, *parameters), (dout, dhn, dcn))

    def layers(name, value):  # [layer and direction, sequence, unit] as one matrix a layer
        return {f"{name}.{layer}": torch.cat([value[2 * layer], value[2 * layer + 1]], dim=1) for layer in (0, 1)}

    names = [f"{kind}.{key}" for key, _ in places for kind in ("w", "u", "b")]
    keep("lstm", x=x, bounds=torch.tensor(bounds), out=y, dout=dout, dx=found[0], **layers("h0", h0), **layers("c0", c0),
         **layers("hn", hn), **layers("cn", cn), **layers("dhn", dhn), **layers("dcn", dcn), **layers("dh0", found[1]),
         **layers("dc0", found[2]), **dict(zip(names, parameters)),
         **{"d" + name: value for name, value in zip(names, found[3:])})


def main():
    linear()
    elementwise("gelu", torch.nn.functional.gelu)
    elementwise("tanh", torch.tanh)
    layernorm()
    embedding()
    attention()
    crossentropy()
    crf()
    adamw()
    lstm()
    assert all(torch.isfinite(t).all() for t in out.values())
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
