"""An independent all-MiniLM-L6-v2: numpy in double precision, from the weights alone.

    python embed.py MODEL_DIR            writes expected.safetensors beside this file
    python embed.py MODEL_DIR --check    compares with transformers' BertModel (needs torch and transformers)

MODEL_DIR holds model.safetensors and tokenizer.json (`make setup` puts them into .cache/minilm). Needs the packages
numpy, safetensors and tokenizers. The model: BERT with 6 layers, hidden size 384, 12 heads of 32, inner size 1536,
GELU by erf, layer norms with epsilon 1e-12 after each residual sum; then the mean over the tokens of a sentence,
divided by its L2 norm. Sentences are cut at 256 tokens, [CLS] and [SEP] included.
"""

import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

LAYERS, HEADS, HIDDEN, MAX_TOKENS, EPSILON = 6, 12, 384, 256, 1e-12
HERE = Path(__file__).parent

erf = np.frompyfunc(math.erf, 1, 1)


def gelu(x):
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)).astype(np.float64))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class MiniLm:
    def __init__(self, folder):
        folder = Path(folder)
        self.weights = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items() if v.dtype.kind == "f"}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # The file carries settings of its own (cut and pad to 128); the model card's are 256 and no padding.
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def tokens(self, sentence):
        return self.tokenizer.encode(sentence).ids

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
        return centred / scale * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def heads(self, x):
        return x.reshape(len(x), HEADS, HIDDEN // HEADS).transpose(1, 0, 2)

    def layer(self, x, at):
        q, k, v = (self.heads(self.linear(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(HIDDEN // HEADS))
        mixed = (scores @ v).transpose(1, 0, 2).reshape(len(x), HIDDEN)
        x = self.norm(x + self.linear(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        inner = gelu(self.linear(x, f"{at}.intermediate.dense"))
        return self.norm(x + self.linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def embed(self, sentence):
        """The unit vector of one sentence, [384] in double precision."""
        ids = self.tokens(sentence)
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        for index in range(LAYERS):
            x = self.layer(x, f"encoder.layer.{index}")
        mean = x.mean(axis=0)
        return mean / np.linalg.norm(mean)


def check(model, folder, sentences, ours):
    """Largest difference from transformers' own code, one sentence at a time and in one padded batch."""
    import torch
    from transformers import BertConfig, BertModel

    bert = BertModel(
        BertConfig(vocab_size=30522, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=1536),
        add_pooling_layer=False,
    ).eval()
    state = {k: torch.from_numpy(v) for k, v in load_file(Path(folder) / "model.safetensors").items()}
    lost = bert.load_state_dict(state, strict=False)
    assert not lost.missing_keys, lost.missing_keys

    ids = [model.tokens(s) for s in sentences]
    longest = max(map(len, ids))
    batch = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    with torch.no_grad():
        hidden = bert(input_ids=batch, attention_mask=mask).last_hidden_state
        kept = mask.unsqueeze(-1)
        theirs = torch.nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1).numpy()
    print(f"largest difference from transformers (f32): {np.abs(theirs - ours).max():.2e}")


def main():
    folder = sys.argv[1]
    model = MiniLm(folder)
    sentences = (HERE / "sentences.txt").read_text(encoding="utf-8").split("\n")[:-1]
    lengths = [len(model.tokens(s)) for s in sentences]
    print(f"{len(sentences)} sentences of {min(lengths)} to {max(lengths)} tokens: {sorted(lengths)}")
    ours = np.stack([model.embed(s) for s in sentences])
    if "--check" in sys.argv[2:]:
        check(model, folder, sentences, ours)
    else:
        tokens = np.array(lengths, dtype=np.int32)
        save_file({"embeddings": ours.astype(np.float32), "tokens": tokens}, str(HERE / "expected.safetensors"))


main()
