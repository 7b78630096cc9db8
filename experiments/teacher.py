"""SmolLM2 in PyTorch, for the experiments that look inside it: the model of the GGUF file, and rows as it reads them."""
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "scripts/peers"))
import gguf_reader  # noqa: E402

SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"


def weights(gguf):
    """Metadata, and the parameters by transformers' names."""
    metadata, tensors = gguf_reader.read(gguf)
    state = gguf_reader.llama_state(metadata, tensors)
    return metadata, {key: torch.from_numpy(value) for key, value in state.items()}


def language_model(metadata, state, layers=30):
    """Its first layers, or all of it."""
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=metadata["llama.vocab_size"], hidden_size=576, intermediate_size=1536, num_hidden_layers=layers,
            num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=2048,
            rms_norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
            rope_theta=metadata["llama.rope.freq_base"], tie_word_embeddings=True))
    kept = {
        key: value for key, value in state.items()
        if not key.startswith("model.layers.") or int(key.split(".")[2]) < layers
    }
    model.load_state_dict(kept)
    return model.eval()


class Reader:
    """Token ids of a row by the chat template, cut to `limit`, and where the completion begins."""

    def __init__(self, tokenizer, limit):
        self.tokenizer = Tokenizer.from_file(tokenizer)
        self.limit = limit

    def __call__(self, row):
        head = f"{SYSTEM}<|im_start|>user\n{row['prompt']}<|im_end|>\n<|im_start|>assistant\n"
        a = self.tokenizer.encode(head, add_special_tokens=False).ids
        b = self.tokenizer.encode(row["completion"] + "<|im_end|>\n", add_special_tokens=False).ids
        ids = (a + b)[: self.limit]
        return ids, min(len(a), len(ids))
