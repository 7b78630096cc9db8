"""JSON Lines to JSON Lines with a transformer valuator: stream_peer.py ENGINE VALUATOR TEXTS OUTPUT THREADS

ENGINE: sentence-transformers-f32, sentence-transformers-bf16, onnxruntime-f32, onnxruntime-int8. The last two are a loop as one
would tune it: the tokenizer in one call, texts sorted by length, batches of like length, the fused graph. Seconds are those of the
stream alone, from reading to writing: imports, export and loading are not counted, and a first batch warms up.
"""
import json
import os
import sys
import time

engine, valuator, source, target, threads = *sys.argv[1:5], int(sys.argv[5])
os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
os.environ["TOKENIZERS_PARALLELISM"] = "true"
import numpy as np  # noqa: E402
import torch  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

torch.set_num_threads(threads)
BATCH = 32
with open(os.path.join(valuator, "alinfik.json")) as file:
    limit = json.load(file)["max_tokens"]
model = SentenceTransformer(valuator, device="cpu")


def text_of(record):
    if "text" in record:
        return record["text"]
    return "\n".join([record["prompt"], record["completion"]])


if engine.startswith("sentence-transformers"):
    if engine.endswith("bf16"):
        model = model.to(torch.bfloat16)

    def score(texts):
        return model.encode(texts, batch_size=BATCH, convert_to_tensor=True, show_progress_bar=False).float().numpy()[:, 0]
else:
    from bert_onnx import session
    from transformers import BertModel

    encoder = BertModel.from_pretrained(valuator, attn_implementation="eager").eval()
    run, _ = session(encoder, threads, quantised=engine.endswith("int8"))
    tokenizer = model.tokenizer
    dense = model[2].linear
    weight, bias = dense.weight.detach().float().numpy()[0], float(dense.bias.detach())

    def score(texts):
        encoded = tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
        scores = np.empty(len(texts), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            longest = len(encoded[rows[-1]])
            ids = np.zeros((len(rows), longest), dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(rows):
                ids[place, : len(encoded[row])] = encoded[row]
                mask[place, : len(encoded[row])] = 1
            states = run.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            lengths = mask.sum(1, keepdims=True)
            sums = (states * mask[:, :, None]).sum(1)
            scores[rows] = np.concatenate([sums / lengths, sums / np.sqrt(lengths)], axis=1) @ weight + bias
        return scores


score(["a short text to warm up", "and another one"] * 16)
started = time.perf_counter()
with open(source, encoding="utf-8") as file:
    records = [json.loads(line) for line in file]
scores = score([text_of(record) for record in records])
with open(target, "w", encoding="utf-8") as file:
    for record, value in zip(records, scores):
        file.write(json.dumps({**record, "alinfik_score": float(value)}, ensure_ascii=False) + "\n")
print(json.dumps({"peer": engine, "seconds": time.perf_counter() - started, "records": len(records)}))
