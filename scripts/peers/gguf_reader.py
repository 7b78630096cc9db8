"""Reads a GGUF file with numpy, for references only: an implementation of its own, not the one under test.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian).
"""

import struct

import numpy as np

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# tensor type: values a block, layout of a block
BLOCKS = {
    0: (1, np.dtype([("q", "<f4")])),
    1: (1, np.dtype([("q", "<f2")])),
    3: (32, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])),  # Q4_1: value = d * nibble + m
    8: (32, np.dtype([("d", "<f2"), ("q", "i1", 32)])),                # Q8_0: value = d * q
}


def read(path):
    """The metadata, and every tensor as float32 in the file's own row order."""
    with open(path, "rb") as file:
        data = file.read()
    offset = 0

    def take(layout):
        nonlocal offset
        values = struct.unpack_from("<" + layout, data, offset)
        offset += struct.calcsize("<" + layout)
        return values[0] if len(values) == 1 else values

    def text():
        nonlocal offset
        length = take("Q")
        offset += length
        return data[offset - length : offset].decode("utf-8")

    def value(kind):
        if kind == STRING:
            return text()
        if kind == ARRAY:
            element, count = take("IQ")
            return [value(element) for _ in range(count)]
        return take(SCALARS[kind])

    magic, version, tensor_count, entry_count = take("4sIQQ")
    if magic != b"GGUF" or version != 3:
        raise ValueError(f"{path}: not a GGUF file of version 3")
    metadata = {}
    for _ in range(entry_count):
        key = text()
        metadata[key] = value(take("I"))
    infos = []
    for _ in range(tensor_count):
        name = text()
        rank = take("I")
        shape = [take("Q") for _ in range(rank)]
        infos.append((name, shape[::-1], *take("IQ")))  # GGUF lists the fastest dimension first
    alignment = metadata.get("general.alignment", 32)
    start = -(-offset // alignment) * alignment
    tensors = {}
    for name, shape, kind, where in infos:
        size, layout = BLOCKS[kind]
        count = int(np.prod(shape)) // size
        blocks = np.frombuffer(data, layout, count, start + where)
        tensors[name] = dequantise(kind, blocks).reshape(shape)
    return metadata, tensors


def dequantise(kind, blocks):
    if kind in (0, 1):
        return blocks["q"].astype(np.float32)
    scale = blocks["d"].astype(np.float32)[:, None]
    if kind == 8:
        return scale * blocks["q"].astype(np.float32)
    low, high = blocks["q"] & 15, blocks["q"] >> 4  # the first 16 values of a block, then the other 16
    return scale * np.concatenate((low, high), axis=1) + blocks["m"].astype(np.float32)[:, None]


def unpermute(weight, heads):
    """Rows of q and k from GGUF's order (rotated pairs adjacent) to Hugging Face's (first halves, then second)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def llama_state(metadata, tensors):
    """A Hugging Face state dict (numpy) of a Llama stored as GGUF."""
    names = {
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    }
    heads = {
        "attn_q": metadata["llama.attention.head_count"], "attn_k": metadata["llama.attention.head_count_kv"],
    }
    state = {
        "model.embed_tokens.weight": tensors["token_embd.weight"],
        "model.norm.weight": tensors["output_norm.weight"],
        "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"]),
    }
    for layer in range(metadata["llama.block_count"]):
        for theirs, ours in names.items():
            weight = tensors[f"blk.{layer}.{theirs}.weight"]
            if theirs in heads:
                weight = unpermute(weight, heads[theirs])
            state[f"model.layers.{layer}.{ours}.weight"] = weight
    return state
