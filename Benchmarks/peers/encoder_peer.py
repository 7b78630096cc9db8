"""Texts a second of a BERT encoder on texts of one length: encoder_peer.py ENGINE ENCODER TOKENS COUNT THREADS

ENGINE: torch-f32, torch-bf16, onnxruntime-f32 (graph fused for BERT), onnxruntime-int8 (the same, quantised dynamically).
The best of six passes over COUNT random texts in batches of 32, after one that warms up.
"""
import json
import os
import sys
import time

engine, encoder, tokens, count, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
os.environ["OMP_NUM_THREADS"] = str(threads)
import bert_onnx  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from transformers import BertModel  # noqa: E402

torch.set_num_threads(threads)
BATCH = 32
ids = np.random.default_rng(1).integers(1000, 30000, (count, tokens))
model = BertModel.from_pretrained(encoder, attn_implementation="eager" if engine.startswith("onnx") else "sdpa").eval()


def pooled(states):
    return states.mean(1)


def torch_passes(dtype):
    net = model.to(dtype)

    def run():
        with torch.inference_mode():
            for start in range(0, count, BATCH):
                batch = torch.from_numpy(ids[start : start + BATCH])
                pooled(net(batch, attention_mask=torch.ones_like(batch)).last_hidden_state)

    return run


def onnx_passes(quantised):
    global fused_operators
    session, fused_operators = bert_onnx.session(model, threads, quantised)

    def run():
        for start in range(0, count, BATCH):
            batch = ids[start : start + BATCH]
            pooled(session.run(None, {"input_ids": batch, "attention_mask": np.ones_like(batch)})[0])

    return run


fused_operators = {}
run = {
    "torch-f32": lambda: torch_passes(torch.float32), "torch-bf16": lambda: torch_passes(torch.bfloat16),
    "onnxruntime-f32": lambda: onnx_passes(False), "onnxruntime-int8": lambda: onnx_passes(True),
}[engine]()
run()
best = float("inf")
for _ in range(6):
    started = time.perf_counter()
    run()
    best = min(best, time.perf_counter() - started)
print(json.dumps({"peer": engine, "tokens": tokens, "texts_per_second": count / best, "threads": threads, "fused": fused_operators}))
