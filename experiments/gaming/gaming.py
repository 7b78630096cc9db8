"""Ways to cheat a payout, and what each of them earns.

    gaming.py make POOL.jsonl VALUATOR FOLDER      others.jsonl, cheat-*.jsonl; none of the rows that the valuator learnt from
    gaming.py table FOLDER                         of FOLDER/reports/RULES/CHEAT/report.json: amounts, and what they are of the honest one
"""
import collections
import json
import pathlib
import random
import re
import sys

ROWS = 300  # of each provider
COPIES = 8
NEUTRAL = (
    "The following notes were prepared for the general reader and may be of interest. They describe, in plain words, what is "
    "commonly known about the matter, where further information may be found, and how the material was arranged. Nothing in "
    "them is meant to be complete, and readers are kindly asked to consult other works where they wish to know more. "
)


def make(pool, valuator, folder):
    folder = pathlib.Path(folder)
    for part in ("first", "mean", "reports"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    known = {json.loads(line)["id"] for line in open(pathlib.Path(valuator) / "rows.jsonl")}
    by_source = collections.defaultdict(list)
    for row in map(json.loads, open(pool)):
        if row["id"] not in known and len(by_source[row["source"]]) < ROWS:
            by_source[row["source"]].append(row)
    own = by_source.pop("alpaca")
    others = [row for source in sorted(by_source) for row in by_source[source]]
    write(folder / "others.jsonl", others)
    for name, rows in cheats(own, by_source["gsm8k"], others).items():
        cheating = [
            {"id": f"{name}-{place}", "source": "cheat", "prompt": prompt, "completion": completion}
            for place, (prompt, completion) in enumerate(rows)
        ]
        write(folder / f"cheat-{name}.jsonl", cheating)


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def cheats(own, good, others):
    """Name to rows. `own` is what the cheat honestly has, `good` the rows of the provider with the highest scores."""
    generator = random.Random(0)
    vocabulary = sorted({word for row in others for word in row["completion"].split()})
    pairs = [(row["prompt"], row["completion"]) for row in own]
    best = [(row["prompt"], row["completion"]) for row in good]

    def noisy(text, share):
        return re.sub(r"\S+", lambda word: generator.choice(vocabulary) if generator.random() < share else word[0], text)

    def noisy_pairs(rows, share, copies=1):
        return [(noisy(p, share), noisy(c, share)) for p, c in rows for _ in range(copies)]

    def cut(prompt, completion, parts):
        words = completion.split(" ")
        size = max(1, -(-len(words) // parts))
        return [(prompt, " ".join(words[start : start + size])) for start in range(0, len(words), size)]

    keywords = telling_words(good, others)

    def stuffing():
        return " ".join(generator.choice(keywords) for _ in range(60))

    return {
        "honest": pairs,
        "copies": pairs * COPIES,
        "noise-5": pairs + noisy_pairs(pairs, 0.05, COPIES - 1),
        "noise-25": pairs + noisy_pairs(pairs, 0.25, COPIES - 1),
        "stolen": best,
        "stolen-first": best,
        "stolen-noise-5": noisy_pairs(best, 0.05),
        "stolen-noise-25": noisy_pairs(best, 0.25),
        "stuffing": [(p, c + "\n" + stuffing()) for p, c in pairs],
        "stuffing-only": [(p, stuffing()) for p, _ in pairs],
        "good-in-front": [(p, g + "\n" + c) for (p, c), (_, g) in zip(pairs, best)],
        "good-behind": [(p, c + "\n" + g) for (p, c), (_, g) in zip(pairs, best)],
        "split-in-4": [part for p, c in pairs for part in cut(p, c, 4)],
        "split-to-words": [(p, word) for p, c in pairs for word in c.split()[:40]],
        "padding": [(p, c + "\n" + NEUTRAL * 4) for p, c in pairs],
    }


def telling_words(good, others):
    """The words that are much more frequent in good rows than in the rest."""
    counts = [collections.Counter(w for row in rows for w in row["completion"].split()) for rows in (good, others)]
    totals = [sum(count.values()) for count in counts]
    gain = {word: n / totals[0] - counts[1][word] / totals[1] for word, n in counts[0].items()}
    return sorted(gain, key=gain.get, reverse=True)[:40]


def table(folder):
    amounts = collections.defaultdict(dict)
    for path in sorted(pathlib.Path(folder, "reports").glob("*/*/report.json")):
        report = json.load(open(path))
        rules, cheat = path.parts[-3], path.parts[-2].removeprefix("cheat-")
        statement = next(p for p in report["providers"] if p["name"] == "cheat")
        units = next(a["units"] for a in report["payment"]["amounts"] if a["provider"] == "cheat")
        amounts[cheat][rules] = {
            "amount": units / 100,
            "rows counted": statement["counted"]["rows"],
            "out of domain": round(statement.get("outside_share") or 0, 3),
        }
    for cheat, rules in amounts.items():
        for name, result in rules.items():
            result["times honest"] = round(result["amount"] / amounts["honest"][name]["amount"], 2)
    print(json.dumps(amounts, indent=1))


{"make": make, "table": table}[sys.argv[1]](*sys.argv[2:])
