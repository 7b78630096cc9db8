"""What the peer benchmarks share: options, the model, rows, batches, the loss, and the one line they print."""

import argparse
import ctypes
import gc
import json
import os
import random
import resource
import sys
import time

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)


def _early_threads():
    """The value of --threads, which OpenMP wants to know before PyTorch is imported."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--threads", default="2")
    return parser.parse_known_args()[0].threads


os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = _early_threads()
# A thread of its own for each core: unbound, two of them may share one core for seconds.
os.environ.setdefault("OMP_PROC_BIND", "true")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

# Standard output is for the one JSON line alone; whatever a peer prints goes to standard error.
_output = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import transformers  # noqa: E402
from transformers.pytorch_utils import Conv1D  # noqa: E402

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def options(description, precisions=("f32",), batch="1,2,4,8"):
    """The options that every peer takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", required=True, help="directory of a Hugging Face causal language model")
    parser.add_argument("--rows", required=True, help="JSON Lines: one array of token ids a line")
    parser.add_argument("--rank", type=int, default=64, help="width of each side of the projection")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", default=batch, help="batch sizes to try, such as 1,4,8")
    parser.add_argument("--seconds", type=float, default=60, help="about how long to measure")
    parser.add_argument("--precision", choices=precisions, default="f32")
    parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa")
    return parser


def load_model(args):
    """The model in evaluation mode at the wanted precision, its parameters without gradients."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    _keep_freed_memory()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.model, dtype=DTYPES[args.precision], attn_implementation=args.attention
    )
    model.config.use_cache = False
    for parameter in model.parameters():
        # Weights are mapped from their file page by page; a copy puts them in memory before anything is measured.
        parameter.data = parameter.data.clone()
    return model.eval().requires_grad_(False)


def _keep_freed_memory():
    """Makes glibc reuse large freed blocks rather than hand them back: page faults cost PyTorch dearly on CPU."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError):
        pass


def block_linears(model):
    """Name and module of every linear layer in the transformer blocks (the output head is none of them)."""
    return [
        (name, module)
        for name, module in model.base_model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D))
    ]


def features(module):
    """Input and output width of a linear layer."""
    if isinstance(module, Conv1D):
        return module.weight.shape[0], module.weight.shape[1]
    return module.in_features, module.out_features


def read_rows(path):
    """The rows of a JSON Lines file that have something to score."""
    with open(path) as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return [row for row in rows if len(row) > 1]


def make_batches(rows, size):
    """Batches of row numbers of similar length, longest first within a batch, the batches in a fixed random order."""
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    random.Random(0).shuffle(batches)
    return batches


def collate(rows):
    """Token ids and labels, padded to the right with 0 and -100.

    There is no attention mask: under causal attention no scored position sees the padding on its right, and not
    passing one lets the attention kernel take its fastest, causal path.
    """
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        labels[index, : len(row)] = ids[index, : len(row)]
    return ids, labels


def token_weights(labels):
    """One over the number of scored tokens of its row for each scored token, 0 elsewhere; shifted like targets."""
    scored = (labels[:, 1:] != -100).float()
    return scored / scored.sum(1, keepdim=True)


def loss_sum(logits, labels):
    """Sum over the rows of a batch of the row's mean loss: each row's gradient is that of its own mean."""
    weights = token_weights(labels)
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none")
    return (losses * weights.flatten()).sum()


def choose_batch(args, rows, run):
    """Times `run(rows, batches)` at each batch size on the first rows; returns the fastest and its samples a second."""
    rates = {}
    sizes = [int(size) for size in args.batch.split(",")]
    trial = rows[: max(max(sizes), 4)]
    for size in sorted(set(min(size, len(trial)) for size in sizes)):
        batches = make_batches(trial, size)
        run(trial, batches[:1])
        start = time.perf_counter()
        run(trial, batches)
        rates[size] = len(trial) / (time.perf_counter() - start)
        print(f"batch {size}: {rates[size]:.3f} samples/s", file=sys.stderr)
    best = max(rates, key=rates.get)
    return best, rates


def measure(args, peer, version, rows, run, loaded, disk_bytes, notes):
    """Chooses the batch size, warms up, measures about --seconds of rows, and prints the line.

    `run(rows, batches)` does the whole work for these batches. `disk_bytes()` says how many bytes the latest run left
    on disk, or None.
    """
    size, rates = choose_batch(args, rows, run)
    batches = make_batches(rows, size)
    count = max(1, round(args.seconds * rates[size] / size))
    batches = batches[:count]
    reset_peak()
    run(rows, batches[:1])
    start = time.perf_counter()
    run(rows, batches)
    seconds = time.perf_counter() - start
    measured = sum(len(batch) for batch in batches)
    disk = disk_bytes()
    tried = ", ".join(f"{size}: {rate:.3f}/s" for size, rate in rates.items())
    line = {
        "peer": peer,
        "version": version,
        "precision": args.precision,
        "rows": measured,
        "tokens": sum(len(rows[index]) for batch in batches for index in batch),
        "batch": size,
        "seconds": round(seconds, 3),
        "samples_per_second": round(measured / seconds, 4),
        "peak_rss_bytes": peak_rss(),
        "loaded_rss_bytes": loaded,
        "disk_bytes_per_sample": None if disk is None else round(disk / measured),
        "torch": torch.__version__,
        "threads": args.threads,
        "notes": f"{notes}; rank {args.rank}; {args.attention} attention; batches tried {tried}",
    }
    print(json.dumps(line), file=_output, flush=True)


def current_rss():
    """Bytes of memory resident now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak_rss():
    """The most bytes resident since the last reset, or since the start where there is no reset."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def reset_peak():
    """Forgets the peak of the trials at other batch sizes, where the kernel allows that."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except (OSError, AttributeError):
        print("the peak memory includes the trials at other batch sizes", file=sys.stderr)
