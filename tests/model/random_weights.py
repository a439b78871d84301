"""random_weights.py OUT {1b,8b} {F16,Q4_0,Q4_K}: a model in the shape of Llama with random weights, to measure speed.

Has no vocabulary and writes nothing of sense. Of Q4_0 and Q4_K models the output matrix is Q6_K, as llama-quantize makes it.
Blocks of quantised weights are random bytes with a scale that keeps activations near one; the formats are those of ggml's
ggml-common.h. Needs numpy and gguf (`tools/setup --training`).
"""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

# Embedding, layers, heads, heads of K and V, feed-forward, vocabulary.
SHAPES = {
    "1b": (2048, 22, 32, 4, 5632, 32000),
    "8b": (4096, 32, 32, 8, 14336, 128256),
}
# Elements and bytes of a block, and where its scales lie: (byte, factor of the weights' deviation).
BLOCKS = {
    Type.Q4_0: (32, 18, [(0, 1 / 4.6)]),
    Type.Q4_K: (256, 144, [(0, 1 / 4.6 / 32), (2, 7.5 / 4.6 / 32)]),
    Type.Q6_K: (256, 210, [(208, 1 / 18.5 / 74)]),
}
# Rows that differ; the others repeat them.
ROWS = 256


def weights(generator, kind, rows, columns):
    """A matrix as numpy has it: rows of elements, or of the bytes of blocks."""
    distinct, deviation = min(rows, ROWS), columns**-0.5
    if kind == Type.F16:
        part = (generator.standard_normal((distinct, columns)) * deviation).astype(np.float16)
    else:
        elements, size, scales = BLOCKS[kind]
        blocks = generator.integers(0, 256, (distinct * columns // elements, size), dtype=np.uint8)
        for at, factor in scales:
            blocks[:, at : at + 2] = np.frombuffer(np.float16(factor * deviation).tobytes(), np.uint8)
        part = blocks.reshape(distinct, -1)
    return np.tile(part, (-(-rows // distinct), 1))[:rows]


def main():
    path, shape, kind = sys.argv[1:]
    embedding, layers, heads, kv_heads, feed_forward, vocabulary = SHAPES[shape]
    kind = Type[kind]
    last = kind if kind == Type.F16 else Type.Q6_K
    kv = embedding // heads * kv_heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random weights, {shape}")
    writer.add_context_length(8192)
    writer.add_embedding_length(embedding)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(embedding // heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("no_vocab")

    generator = np.random.default_rng(1)
    made = {}

    def matrix(name, rows, columns, kind=kind):
        key = (kind, rows, columns)
        if key not in made:
            made[key] = weights(generator, *key)
        raw = None if kind == Type.F16 else kind
        writer.add_tensor(f"{name}.weight", made[key], raw_dtype=raw)

    def ones(name):
        writer.add_tensor(f"{name}.weight", np.ones(embedding, np.float32))

    matrix("token_embd", vocabulary, embedding)
    ones("output_norm")
    matrix("output", vocabulary, embedding, last)
    for n in range(layers):
        layer = f"blk.{n}"
        ones(f"{layer}.attn_norm")
        ones(f"{layer}.ffn_norm")
        matrix(f"{layer}.attn_q", embedding, embedding)
        matrix(f"{layer}.attn_k", kv, embedding)
        matrix(f"{layer}.attn_v", kv, embedding)
        matrix(f"{layer}.attn_output", embedding, embedding)
        matrix(f"{layer}.ffn_gate", feed_forward, embedding)
        matrix(f"{layer}.ffn_up", feed_forward, embedding)
        matrix(f"{layer}.ffn_down", embedding, feed_forward)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
