"""Texts a second of a BERT encoder on texts of one length: encoder_peer.py ENGINE ENCODER TOKENS COUNT THREADS

ENGINE: torch-f32, torch-bf16, onnxruntime-f32 (graph fused for BERT), onnxruntime-int8 (the same, quantised dynamically).
The best of three passes over COUNT random texts in batches of 32, after one that warms up.
"""
import json
import os
import pathlib
import sys
import tempfile
import time

engine, encoder, tokens, count, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
os.environ["OMP_NUM_THREADS"] = str(threads)
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
    import onnxruntime
    from onnxruntime.transformers import optimizer

    folder = pathlib.Path(tempfile.mkdtemp())
    example = torch.from_numpy(ids[:2])
    names = ["input_ids", "attention_mask"]

    class States(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    torch.onnx.export(
        States().eval(), (example, torch.ones_like(example)), str(folder / "model.onnx"), input_names=names, output_names=["states"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "states"]}, dynamo=False, opset_version=17)
    fused = optimizer.optimize_model(
        str(folder / "model.onnx"), "bert", num_heads=model.config.num_attention_heads, hidden_size=model.config.hidden_size)
    global fused_operators
    fused_operators = {name: count for name, count in fused.get_fused_operator_statistics().items() if count}
    fused.save_model_to_file(str(folder / "fused.onnx"))
    path = folder / "fused.onnx"
    if quantised:
        import onnx
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(
            str(path), str(folder / "int8.onnx"), extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
        path = folder / "int8.onnx"
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])

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
for _ in range(3):
    started = time.perf_counter()
    run()
    best = min(best, time.perf_counter() - started)
print(json.dumps({"peer": engine, "tokens": tokens, "texts_per_second": count / best, "threads": threads, "fused": fused_operators}))
