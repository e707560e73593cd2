"""all-MiniLM-L6-v2 in PyTorch: 64 sentences from token ids to unit vectors, batched in several ways."""

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

from inputs import DTYPE
from matmul import packed_linear

ROOT = Path(__file__).resolve().parents[2]
LAYERS, HEADS, HIDDEN, EPSILON = 6, 12, 384, 1e-12


class Model:
    def __init__(self, folder, dtype, form):
        self.w = {k: v.to(DTYPE[dtype]) for k, v in load_file(folder / "model.safetensors").items() if v.is_floating_point()}
        self.form = form
        self.linears = {}
        for i in range(LAYERS):
            at = f"encoder.layer.{i}."
            parts = [at + f"attention.self.{p}" for p in ("query", "key", "value")]
            weight = torch.cat([self.w[p + ".weight"] for p in parts])
            self.add(at + "qkv", weight, torch.cat([self.w[p + ".bias"] for p in parts]))
            for p in ("attention.output.dense", "intermediate.dense", "output.dense"):
                self.add(at + p, self.w[at + p + ".weight"], self.w[at + p + ".bias"])

    def add(self, name, weight, bias):
        if self.form == "packed":
            product = packed_linear(weight, 1024)
            self.linears[name] = lambda x: product(x) + bias
        else:
            self.linears[name] = lambda x: F.linear(x, weight, bias)

    def norm(self, x, name):
        return F.layer_norm(x, (HIDDEN,), self.w[name + ".weight"], self.w[name + ".bias"], EPSILON)

    def embed(self, ids, positions):
        x = self.w["embeddings.word_embeddings.weight"][ids] + self.w["embeddings.position_embeddings.weight"][positions]
        return self.norm(x + self.w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")

    def layer(self, x, at, attend):
        mixed = attend(self.linears[at + "qkv"](x))
        x = self.norm(x + self.linears[at + "attention.output.dense"](mixed), at + "attention.output.LayerNorm")
        inner = F.gelu(self.linears[at + "intermediate.dense"](x))
        return self.norm(x + self.linears[at + "output.dense"](inner), at + "output.LayerNorm")

    def padded(self, ids, mask):
        """One batch [b, t] padded to its longest sentence."""
        b, t = ids.shape
        bias = None if bool(mask.all()) else torch.where(mask, 0.0, -torch.inf).to(self.w["embeddings.LayerNorm.bias"].dtype)[:, None, None]

        def attend(qkv):
            q, k, v = qkv.view(b, t, 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).reshape(b, t, HIDDEN)

        x = self.embed(ids, torch.arange(t).expand(b, t))
        for i in range(LAYERS):
            x = self.layer(x, f"encoder.layer.{i}.", attend)
        kept = mask.unsqueeze(-1).to(x.dtype)
        return F.normalize((x * kept).sum(1) / kept.sum(1), dim=1)

    def joined(self, ids, positions, sizes):
        """All sentences end to end; only attention and the mean look at one at a time."""

        def attend(qkv):
            out = []
            for part in qkv.split(sizes):
                q, k, v = part.view(1, len(part), 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
                out.append(F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).reshape(len(part), HIDDEN))
            return torch.cat(out)

        x = self.embed(ids, positions)
        for i in range(LAYERS):
            x = self.layer(x, f"encoder.layer.{i}.", attend)
        return F.normalize(torch.stack([part.mean(0) for part in x.split(sizes)]), dim=1)


def token_ids(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    text = (ROOT / "examples/minilm/reference/sentences.txt").read_text(encoding="utf-8").split("\n")[:-1]
    return [torch.tensor(tokenizer.encode(s).ids) for s in text]


def batches(ids, size):
    """Sorted by length, so that a batch pads little; as sentence encoders do."""
    order = sorted(ids, key=len)
    for at in range(0, len(order), size):
        rows = order[at : at + size]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(r) for r in rows])
        yield padded, torch.arange(padded.shape[1])[None] < lengths[:, None]


def implementations(name, dtype):
    folder = Path(os.environ.get("KCC_MINILM_DIR") or ROOT / ".cache/minilm")
    ids = token_ids(folder)
    flat, positions, sizes = torch.cat(ids), torch.cat([torch.arange(len(i)) for i in ids]), [len(i) for i in ids]
    for form in ("linear", "packed"):
        model = Model(folder, dtype, form)
        for size in (4, 8, 16):
            parts = list(batches(ids, size))
            yield f"batches of {size}, {form}", lambda m=model, p=parts: [m.padded(*part) for part in p]
        yield f"sentences joined, {form}", lambda m=model: m.joined(flat, positions, sizes)
