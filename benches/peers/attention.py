"""Attention over 2048 keys, and decoding one query: fused attention, and the same by batched products."""

import math

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from inputs import compiled, normal

HEADS, TOKENS = 8, 2048


def implementations(name, dtype):
    _, head, kind = name.split(".")
    d, causal = int(head[1:]), kind == "causal"
    q, k, v = (normal(dtype, 1, HEADS, TOKENS, d, seed=s) for s in (1, 2, 3))
    yield "scaled_dot_product_attention", lambda: F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def flash():
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    yield "scaled_dot_product_attention, flash", flash
    mask = torch.full((TOKENS, TOKENS), -math.inf).triu(1).to(q.dtype) if causal else None

    def plain(q, k, v):
        scores = q @ k.transpose(-1, -2) * d**-0.5
        if mask is not None:
            scores = scores + mask
        return torch.softmax(scores, -1) @ v

    yield "matmul, softmax, matmul", lambda: plain(q, k, v)
    fused = compiled(plain)
    yield "the same through inductor", lambda: fused(q, k, v)


def decode(name, dtype):
    keys, heads, kv_heads, d = int(name.split(".")[1]), 32, 8, 128
    q = normal(dtype, 1, heads, 1, d, seed=1)
    k, v = (normal(dtype, 1, kv_heads, keys, d, seed=s) for s in (2, 3))
    yield "scaled_dot_product_attention, GQA", lambda: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    # Regrouped by hand: the four query heads of a KV head become four rows of one query block.
    rows = q.reshape(1, kv_heads, heads // kv_heads, d)
    yield "scaled_dot_product_attention, regrouped", lambda: F.scaled_dot_product_attention(rows, k, v)
    q3, k3, v3 = rows[0], k[0], v[0]

    def products(q, k, v):
        return torch.softmax(torch.bmm(q, k.transpose(1, 2)) * d**-0.5, -1) @ v

    def keys_first(q, k, v):
        scores = torch.bmm(k, q.transpose(1, 2)).transpose(1, 2) * d**-0.5
        return torch.bmm(torch.softmax(scores, -1), v)

    yield "regrouped, bmm", lambda: products(q3, k3, v3)
    yield "regrouped, bmm with keys first", lambda: keys_first(q3, k3, v3)
    fused = compiled(products)
    yield "regrouped, bmm through inductor", lambda: fused(q3, k3, v3)
