"""A mixture-of-experts layer: a loop over experts with plain, packed and sorted forms, and the grouped product."""

import torch
import torch.nn.functional as F

from inputs import normal
from matmul import packed_linear

HIDDEN, EXPERTS, TOP, INNER = 1024, 8, 2, 2048


def route(x, router):
    """Weights and experts of each token, both [tokens, TOP]; the weights are a softmax over the chosen experts."""
    best, chosen = torch.topk(F.linear(x, router).float(), TOP, dim=-1)
    return torch.softmax(best, -1).to(x.dtype), chosen


def implementations(name, dtype):
    tokens = int(name.split(".")[1])
    x = normal(dtype, tokens, HIDDEN, seed=1)
    router = normal(dtype, EXPERTS, HIDDEN, scale=HIDDEN**-0.5, seed=2)
    gate, up = (normal(dtype, EXPERTS, INNER, HIDDEN, scale=HIDDEN**-0.5, seed=s) for s in (3, 4))
    down = normal(dtype, EXPERTS, HIDDEN, INNER, scale=INNER**-0.5, seed=5)

    def plain(weight):
        return [lambda x, w=w: F.linear(x, w) for w in weight]

    def packed(weight):
        return [packed_linear(w, tokens * TOP // EXPERTS) for w in weight]

    def by_loop(form, joined):
        first = form(torch.cat([gate, up], 1)) if joined else list(zip(form(gate), form(up)))
        last = form(down)

        def run():
            weights, chosen = route(x, router)
            out = torch.zeros_like(x)
            for e in range(EXPERTS):
                token, slot = torch.where(chosen == e)
                if len(token) == 0:
                    continue
                rows = x[token]
                g, u = first[e](rows).chunk(2, -1) if joined else (first[e][0](rows), first[e][1](rows))
                out.index_add_(0, token, last[e](F.silu(g) * u) * weights[token, slot, None])
            return out

        return run

    def by_sort(form):
        first, last = form(torch.cat([gate, up], 1)), form(down)

        def run():
            weights, chosen = route(x, router)
            order = chosen.flatten().argsort(stable=True)
            sizes = torch.bincount(chosen.flatten(), minlength=EXPERTS).tolist()
            parts = torch.split(x[order // TOP], sizes)
            done = []
            for e, rows in enumerate(parts):
                if len(rows):
                    g, u = first[e](rows).chunk(2, -1)
                    done.append(last[e](F.silu(g) * u))
            mixed = torch.empty(tokens * TOP, HIDDEN, dtype=x.dtype)
            mixed[order] = torch.cat(done)
            return (mixed.view(tokens, TOP, HIDDEN) * weights.unsqueeze(-1)).sum(1)

        return run

    yield "loop over experts, linear", by_loop(plain, False)
    yield "loop over experts, packed linear", by_loop(packed, False)
    yield "loop over experts, packed linear, gate and up joined", by_loop(packed, True)
    yield "sorted by expert, linear", by_sort(plain)
    yield "sorted by expert, packed linear", by_sort(packed)
