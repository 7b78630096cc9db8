"""Samples a second of fine-tuning a BERT encoder with a linear head: torch_encoder.py LABELS.h5 ENCODER random|length

Standard input: the SHA-256 of the texts to train on, a JSON list.
"""
import hashlib
import json
import random
import sys
import time

import h5py
import torch
from transformers import AutoTokenizer, BertModel

labels_path, encoder, order = sys.argv[1:]
chosen = set(json.load(sys.stdin))
torch.set_num_threads(2)
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(encoder)
model = BertModel.from_pretrained(encoder)
for part in (model.embeddings.word_embeddings, model.embeddings.position_embeddings, model.embeddings.token_type_embeddings):
    part.weight.requires_grad_(False)
head = torch.nn.Linear(model.config.hidden_size, 1)
parameters = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
optimiser = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01)
with h5py.File(labels_path) as file:
    rows = [row for row, text in enumerate(file["texts"][:]) if hashlib.sha256(text).hexdigest() in chosen]
    texts = [file["texts"][row].decode() for row in rows]
    labels = torch.tensor(file["labels"][:][rows])
labels = (labels - labels.mean()) / labels.std()
encoded = [tokenizer(text, truncation=True, max_length=256)["input_ids"] for text in texts]
generator = random.Random(0)


def epoch():
    rows = list(range(len(encoded)))
    generator.shuffle(rows)
    if order == "length":
        rows.sort(key=lambda row: len(encoded[row]))
    batches = [rows[at : at + 16] for at in range(0, len(rows), 16)]
    generator.shuffle(batches)
    for batch in batches:
        longest = max(len(encoded[row]) for row in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros(len(batch), longest)
        for place, row in enumerate(batch):
            ids[place, : len(encoded[row])] = torch.tensor(encoded[row])
            mask[place, : len(encoded[row])] = 1
        states = model(ids, attention_mask=mask).last_hidden_state
        pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        loss = torch.nn.functional.mse_loss(head(pooled)[:, 0], labels[batch])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()


model.train()
for module in model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
epoch()
started = time.time()
epoch()
print(json.dumps({"samples_per_second": len(encoded) / (time.time() - started)}))
