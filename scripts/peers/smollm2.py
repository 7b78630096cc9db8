#!/usr/bin/env python3
"""SmolLM2 from GGUF, ours against transformers in float64 on the same dequantised weights.

Losses within 1e-3, `dot` labels and gradient norms within 1e-4 relative. The reference numbers
are kept in .cache/peers, named by a hash of all that they depend on.
"""

import argparse
import hashlib
import inspect
import json
import math
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "Tom has 12 apples. He gives 5 of them to Anna and buys 30 more. How many apples has he now?",
    "def mean(values):\n    return sum(values) / len(values)\n\nprint(mean([1, 2, 3.5]))\n",
    "Die Katze saß auf dem Dach, während der Regen über die Straßen zog.",
    "Cafe\u0301 au lait, cafe\u0301 noir; naïve façade; 1234567890 and 3.14159.",
    "🙂 emoji 👩‍👩‍👧 and flags 🇫🇷 between words, 日本語のテキスト, и немного русского.",
    "Line one\r\nline two\r\n\r\n\tindented with a tab   and   spaces   \r\n",
    "<html><body><a href=\"https://example.com\">link</a> &amp; more</body></html>",
    "Once upon a time there was a fox who counted stars until the morning came and took them all away.",
    "QED. x^2 + y^2 = z^2; e^{i\\pi} = -1; O(n log n); TRUE/FALSE; 100% of $5.00.",
]
CHATS = [
    ("What is 7 times 8?", "7 times 8 is 56."),
    ("Write a haiku about rain.", "Rain upon the roof,\na thousand small feet running\ntoward the same sea."),
]
TARGETS = ["Space probes measure the solar wind.", "A rocket engine needs fuel and an oxidiser to work in vacuum."]
LOSS_TOLERANCE, LABEL_TOLERANCE = 1e-3, 1e-4


def chat_ids(tokenizer, template, prompt, completion):
    """ChatML ids and mask: the prompt's part and the completion's are tokenised apart; the answer is scored."""
    from jinja2 import Template

    user = [{"role": "user", "content": prompt}]
    before = Template(template).render(messages=user, add_generation_prompt=True)
    first = tokenizer.encode(before, add_special_tokens=False).ids
    second = tokenizer.encode(completion + "<|im_end|>", add_special_tokens=False).ids
    return first + second, [False] * len(first) + [True] * len(second)


def references(model_path, tokenizer_path):
    """What transformers says: losses, labels, norms, token counts, and the greedy continuation."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    import gguf_reader
    from llama_reference import inner, per_sample_gradients

    metadata, tensors = gguf_reader.read(model_path)
    state = {key: torch.from_numpy(value) for key, value in gguf_reader.llama_state(metadata, tensors).items()}
    config = LlamaConfig(
        vocab_size=metadata["llama.vocab_size"], hidden_size=metadata["llama.embedding_length"],
        intermediate_size=metadata["llama.feed_forward_length"],
        num_hidden_layers=metadata["llama.block_count"],
        num_attention_heads=metadata["llama.attention.head_count"],
        num_key_value_heads=metadata["llama.attention.head_count_kv"],
        max_position_embeddings=metadata["llama.context_length"],
        rms_norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
        rope_theta=metadata["llama.rope.freq_base"],
        tie_word_embeddings="output.weight" not in tensors,
    )
    config._attn_implementation = "sdpa"
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    model = model.double().eval()

    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    rows = []
    for text in TARGETS + TEXTS:
        ids = tokenizer.encode(text).ids
        rows.append((ids, [False] + [True] * (len(ids) - 1)))
    template = metadata["tokenizer.chat_template"]
    rows += [chat_ids(tokenizer, template, *chat) for chat in CHATS]

    losses, targets, labels, norms = [], [], [], []
    for index, (ids, scored) in enumerate(rows):
        loss, gradient = per_sample_gradients(model, ids, scored)
        if index < len(TARGETS):
            targets.append(gradient)
            continue
        losses.append(loss)
        labels.append([inner(target, gradient) for target in targets])
        norms.append(math.sqrt(inner(gradient, gradient)))
        print(f"  reference {index - 1} of {len(rows) - len(TARGETS)}", file=sys.stderr)

    prompt = tokenizer.encode("The capital of France is").ids
    ids = torch.tensor([prompt])
    with torch.no_grad():
        for _ in range(6):
            ids = torch.cat((ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)), 1)
    greedy = ids[0].tolist()
    return {
        "targets": [{"ids": ids, "scored": scored} for ids, scored in rows[: len(TARGETS)]],
        "samples": [{"ids": ids, "scored": scored} for ids, scored in rows[len(TARGETS):]],
        "greedy": {"prompt": prompt, "continuation": greedy[len(prompt):], "text": tokenizer.decode(greedy)},
        "loss": losses, "labels_per_target": labels, "gradient_norm": norms,
        "token_count": [len(ids) for ids, _ in rows[len(TARGETS):]],
    }


def cached_references(model_path, tokenizer_path):
    digest = hashlib.sha256(repr((TARGETS, TEXTS, CHATS)).encode())
    digest.update((inspect.getsource(references) + inspect.getsource(chat_ids)).encode())
    here = pathlib.Path(__file__).resolve().parent
    for path in (model_path, tokenizer_path, here / "gguf_reader.py", here / "llama_reference.py"):
        digest.update(hashlib.sha256(pathlib.Path(path).read_bytes()).digest())
    cache = ROOT / ".cache" / "peers" / f"smollm2-{digest.hexdigest()[:16]}.json"
    if not cache.exists():
        numbers = references(model_path, tokenizer_path)
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(numbers))
    return json.loads(cache.read_text())


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def ours(alinfik, model_path):
    """The same rows through `alinfik label`."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_lines(folder / "target.jsonl", [{"text": text} for text in TARGETS])
        write_lines(folder / "text.jsonl", [{"text": text} for text in TEXTS])
        write_lines(folder / "chat.jsonl", [{"prompt": p, "completion": c} for p, c in CHATS])
        subprocess.run(
            [alinfik, "label", "--quiet", "--model", model_path, "--target", folder / "target.jsonl",
             "--sample", folder / "text.jsonl", folder / "chat.jsonl",
             "--output", folder / "labels.h5", "--gradient-norm"],
            check=True,
        )
        with h5py.File(folder / "labels.h5") as file:
            return {key: file[key][:].tolist() for key in
                    ("loss", "labels", "gradient_norm", "token_count")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--alinfik", help="left out: only the reference numbers are computed")
    parser.add_argument("--reference", help="where the numbers also go, for the test that reads them")
    options = parser.parse_args()
    expected = cached_references(options.gguf, options.tokenizer)
    if "Paris" not in expected["greedy"]["text"]:
        sys.exit(f"FAIL: the reference itself does not say Paris: {expected['greedy']['text']!r}")
    if options.reference:
        pathlib.Path(options.reference).write_text(json.dumps(expected))
    if not options.alinfik:
        return
    found = ours(options.alinfik, options.gguf)
    failures = []

    def compare(what, got, want, tolerance, relative):
        error = abs(got - want) / (max(abs(want), 1e-12) if relative else 1)
        worst[what.split()[0]] = max(worst.get(what.split()[0], 0), error)
        if not error <= tolerance:
            failures.append(f"{what}: {got} against {want} (error {error:.2g}, allowed {tolerance:g})")

    worst = {}
    for row in range(len(TEXTS) + len(CHATS)):
        per_target = expected["labels_per_target"][row]
        compare(f"loss of row {row}", found["loss"][row], expected["loss"][row], LOSS_TOLERANCE, False)
        compare(f"dot of row {row}", found["labels"][row], sum(per_target) / len(per_target),
                LABEL_TOLERANCE, True)
        compare(f"gradient_norm of row {row}", found["gradient_norm"][row], expected["gradient_norm"][row],
                LABEL_TOLERANCE, True)
        if row < len(TEXTS):
            compare(f"token_count of row {row}", found["token_count"][row], expected["token_count"][row],
                    0, False)
    print("  worst errors: " + ", ".join(f"{what} {error:.2g}" for what, error in worst.items()))
    if failures:
        sys.exit("FAIL\n  " + "\n  ".join(failures))


if __name__ == "__main__":
    main()
