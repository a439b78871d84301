"""Trains the test model and writes it as a GGUF file of 16-bit floats.

    python3 tests/model/train.py --output tests/model/stories-f16.gguf

A Llama: embedding 256, four layers, four heads of size 64 over two key-value heads, feed-forward 768, vocabulary 1024.
All dimensions are multiples of 256, so that ggml's K-quants apply. It needs `jax`, `numpy` and `gguf`, one core and a
few minutes; the same seed on the same machine gives the same file.
"""

import argparse
import time
from functools import partial

import gguf
import jax
import jax.numpy as jnp
import numpy as np

from stories import story
from tokenizer import Tokenizer

VOCABULARY, EMBEDDING, LAYERS, HEADS, KV_HEADS, HEAD, FEED_FORWARD, CONTEXT = 1024, 256, 4, 4, 2, 64, 768, 256
ROPE_BASE, EPSILON = 10000.0, 1e-5
#: Stories from this number on are never trained on: prompts are taken from there.
HELD_OUT = 1_000_000


def init(key):
    """Fresh weights, named as in a GGUF file; a matrix has the shape (outputs, inputs)."""
    shapes = {
        "token_embd.weight": (VOCABULARY, EMBEDDING),
        "output.weight": (VOCABULARY, EMBEDDING),
        "output_norm.weight": (EMBEDDING,),
    }
    for i in range(LAYERS):
        shapes |= {
            f"blk.{i}.attn_norm.weight": (EMBEDDING,),
            f"blk.{i}.attn_q.weight": (HEADS * HEAD, EMBEDDING),
            f"blk.{i}.attn_k.weight": (KV_HEADS * HEAD, EMBEDDING),
            f"blk.{i}.attn_v.weight": (KV_HEADS * HEAD, EMBEDDING),
            f"blk.{i}.attn_output.weight": (EMBEDDING, HEADS * HEAD),
            f"blk.{i}.ffn_norm.weight": (EMBEDDING,),
            f"blk.{i}.ffn_gate.weight": (FEED_FORWARD, EMBEDDING),
            f"blk.{i}.ffn_up.weight": (FEED_FORWARD, EMBEDDING),
            f"blk.{i}.ffn_down.weight": (EMBEDDING, FEED_FORWARD),
        }
    weights = {}
    for name, shape in shapes.items():
        key, sub = jax.random.split(key)
        if len(shape) == 1:
            weights[name] = jnp.ones(shape)
        else:
            scale = 0.02 if "embd" in name else shape[1] ** -0.5
            if "attn_output" in name or "ffn_down" in name:
                scale /= (2 * LAYERS) ** 0.5
            weights[name] = scale * jax.random.normal(sub, shape)
    return weights


def norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPSILON) * weight


def rotate(x):
    """Rotary position embedding of neighbouring pairs, as llama.cpp applies it to the architecture "llama"."""
    length = x.shape[1]
    angle = jnp.arange(length)[:, None] * ROPE_BASE ** (-jnp.arange(0, HEAD, 2) / HEAD)
    sin, cos = jnp.sin(angle)[None, :, None], jnp.cos(angle)[None, :, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def logits(weights, tokens):
    """Scores of the next token at every position of `tokens` (batch, length)."""
    x = weights["token_embd.weight"][tokens]
    batch, length = tokens.shape
    mask = jnp.tril(jnp.ones((length, length), bool))
    for i in range(LAYERS):
        w = lambda n: weights[f"blk.{i}.{n}.weight"]
        h = norm(x, w("attn_norm"))
        q = rotate((h @ w("attn_q").T).reshape(batch, length, HEADS, HEAD))
        k = rotate((h @ w("attn_k").T).reshape(batch, length, KV_HEADS, HEAD))
        v = (h @ w("attn_v").T).reshape(batch, length, KV_HEADS, HEAD)
        k, v = (jnp.repeat(t, HEADS // KV_HEADS, axis=2) for t in (k, v))
        score = jnp.einsum("bqhd,bkhd->bhqk", q, k) * HEAD**-0.5
        share = jax.nn.softmax(jnp.where(mask, score, -1e30), -1)
        x = x + jnp.einsum("bhqk,bkhd->bqhd", share, v).reshape(batch, length, -1) @ w("attn_output").T
        h = norm(x, w("ffn_norm"))
        x = x + (jax.nn.silu(h @ w("ffn_gate").T) * (h @ w("ffn_up").T)) @ w("ffn_down").T
    return norm(x, weights["output_norm.weight"]) @ weights["output.weight"].T


def loss(weights, tokens, counts=1.0):
    """Mean cross entropy of the next token; `counts` says which ones count."""
    p = jax.nn.log_softmax(logits(weights, tokens[:, :-1]))
    counts = jnp.broadcast_to(counts, tokens[:, 1:].shape)
    return -jnp.sum(jnp.take_along_axis(p, tokens[:, 1:, None], -1)[..., 0] * counts) / jnp.sum(counts)


@partial(jax.jit, donate_argnums=(0, 1, 2))
def step(weights, first, second, tokens, rate, count):
    """One step of Adam with decoupled weight decay."""
    value, gradient = jax.value_and_grad(loss)(weights, tokens)
    size = jnp.sqrt(sum(jnp.sum(g * g) for g in gradient.values()))
    gradient = {n: g * jnp.minimum(1.0, 1.0 / (size + 1e-9)) for n, g in gradient.items()}
    first = {n: 0.9 * first[n] + 0.1 * g for n, g in gradient.items()}
    second = {n: 0.98 * second[n] + 0.02 * g * g for n, g in gradient.items()}
    for n in weights:
        update = first[n] / (1 - 0.9**count) / (jnp.sqrt(second[n] / (1 - 0.98**count)) + 1e-8)
        decay = 0.01 * weights[n] if weights[n].ndim == 2 else 0.0
        weights[n] = weights[n] - rate * (update + decay)
    return weights, first, second, value


def write(path, weights, tokenizer):
    """Writes the model; norms stay 32-bit floats, as in every llama.cpp file."""
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("vkcuda stories")
    w.add_description("Tells animal stories; trained by tests/model/train.py")
    w.add_license("MIT OR Apache-2.0")
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    w.add_context_length(CONTEXT)
    w.add_embedding_length(EMBEDDING)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FEED_FORWARD)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_key_length(HEAD)
    w.add_value_length(HEAD)
    w.add_rope_dimension_count(HEAD)
    w.add_rope_freq_base(ROPE_BASE)
    w.add_layer_norm_rms_eps(EPSILON)
    w.add_vocab_size(VOCABULARY)
    w.add_tokenizer_model("llama")
    w.add_token_list(tokenizer.tokens)
    w.add_token_scores(tokenizer.scores)
    w.add_token_types(tokenizer.types)
    w.add_bos_token_id(tokenizer.BOS)
    w.add_eos_token_id(tokenizer.EOS)
    w.add_unk_token_id(0)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(True)
    for name, value in weights.items():
        w.add_tensor(name, np.asarray(value, np.float16 if value.ndim == 2 else np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--output", required=True, help="GGUF file to write")
    p.add_argument("--steps", type=int, default=1000)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--stories", type=int, default=12000)
    p.add_argument("--window", type=int, default=224, help="tokens of a sequence in training")
    a = p.parse_args()

    texts = [story(i) for i in range(a.stories)]
    tokenizer = Tokenizer(texts[:2000], VOCABULARY)
    stream = np.concatenate([[tokenizer.BOS, *tokenizer.encode(t), tokenizer.EOS] for t in texts]).astype(np.int32)
    print(f"{len(stream)} tokens, {len(stream) / len(texts):.0f} a story", flush=True)

    random = np.random.default_rng(0)
    weights = init(jax.random.PRNGKey(0))
    print(f"{sum(w.size for w in weights.values()) / 1e6:.2f} million weights", flush=True)
    first = {n: jnp.zeros_like(w) for n, w in weights.items()}
    second = {n: jnp.zeros_like(w) for n, w in weights.items()}
    starts = np.flatnonzero(stream == tokenizer.BOS)
    starts = starts[starts + a.window + 1 <= len(stream)]
    begin, value = time.time(), None
    for i in range(a.steps):
        rate = a.rate * min(1.0, (i + 1) / 40) * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * i / a.steps)))
        batch = np.stack([stream[s : s + a.window + 1] for s in random.choice(starts, a.batch)])
        weights, first, second, value = step(weights, first, second, batch, rate, i + 1)
        if i % 20 == 0 or i + 1 == a.steps:
            print(f"step {i:4}  loss {float(value):.3f}  {time.time() - begin:.0f} s", flush=True)

    held = [tokenizer.encode(story(HELD_OUT + i)) for i in range(16)]
    rows = np.stack([[tokenizer.BOS, *(t + [tokenizer.EOS] * CONTEXT)[:CONTEXT]] for t in held]).astype(np.int32)
    inside = np.arange(CONTEXT) < np.array([len(t) for t in held])[:, None]
    print(f"held-out loss {float(loss(weights, rows, inside)):.3f}")
    ids = [tokenizer.BOS, *held[0][:100]]
    forward = jax.jit(logits)
    for _ in range(64):
        padded = np.zeros((1, CONTEXT), np.int32)
        padded[0, : len(ids)] = ids
        ids.append(int(np.argmax(forward(weights, padded)[0, len(ids) - 1])))
    print(tokenizer.decode(ids[:101]), "|", tokenizer.decode(ids[101:]))
    write(a.output, weights, tokenizer)


if __name__ == "__main__":
    main()
