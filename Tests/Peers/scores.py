#!/usr/bin/env python3
"""Point 5: `isogloss score` equals seqeval (default, strict) and conlleval on random files, to the last digit.

    python3 Tests/Peers/scores.py --isogloss .build/release/isogloss --files 1000
    python3 Tests/Peers/scores.py --isogloss .build/release/isogloss --checkpoint runs/en/best --data en.dev.conll

The first writes random tag files, half of them with broken tags (Tests/Golden/scores.py draws them), and compares
each object of `isogloss score FILE --json`, and conlleval's text in its text output. With --checkpoint, the tags that
`isogloss predict` writes are scored by seqeval and compared with `isogloss evaluate --json` on the same file.
One line of JSON; exit code 1 if not met.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "Golden"))
import conlleval  # noqa: E402
import scores as golden  # noqa: E402
from minilm import read_conll  # noqa: E402
from seqeval import scheme as schemes  # noqa: E402
from seqeval.metrics import f1_score, precision_score, recall_score  # noqa: E402

warnings.simplefilter("ignore")


def objects(text):
    """The objects of JSON lines, or of one JSON list."""
    found = [json.loads(line) for line in text.splitlines() if line.strip()]
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def numbers(report):
    return {t: [row["number"], row["predicted"], row["correct"]] for t, row in report["types"].items()}


def values(report):
    if not report.get("macro"):
        return None
    rows = [{k: report[f"overall_{k}"] for k in ("precision", "recall", "f1")}, report["macro"], report["weighted"]]
    return [row[k] for row in rows for k in ("precision", "recall", "f1")]


def expected(gold, predicted):
    """What each mode must say: {mode: (numbers, values)}. A strict mode that seqeval refuses is missing."""
    counts = conlleval.count(gold, predicted)
    answer = golden.seqeval_answer(gold, predicted, golden.default_spans(gold), golden.default_spans(predicted))
    found = {"conlleval": (counts["types"], None), "default": (answer["n"], answer["v"])}
    try:
        scheme = schemes.auto_detect(gold)
    except ValueError:
        scheme = schemes.IOB2
    try:
        g, p = golden.strict_spans(gold, scheme), golden.strict_spans(predicted, scheme)
        answer = golden.seqeval_answer(gold, predicted, g, p, mode="strict", scheme=scheme)
        found["strict"] = (answer["n"], answer["v"])
    except (KeyError, ValueError):
        pass
    return found, conlleval.report(counts)


def random_files(isogloss, count, seed):
    rng = random.Random(seed)
    differing, examples, done = 0, [], 0
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "tags.txt"
        while done < count:
            _, gold, predicted = golden.case(rng)
            if not any(gold):
                continue
            done += 1
            lines = ["".join(f"w {g} {p}\n" for g, p in zip(*pair)) for pair in zip(gold, predicted)]
            path.write_text("\n".join(lines), encoding="utf-8")
            answer = subprocess.run([isogloss, "score", path, "--json"], capture_output=True, text=True, check=True)
            text = subprocess.run([isogloss, "score", path], capture_output=True, text=True, check=True)
            want, conlleval_text = expected(gold, predicted)
            have = {r["mode"]: r for r in objects(answer.stdout)}
            same = set(have) == set(want) and conlleval_text in text.stdout + text.stderr
            for mode, (n, v) in want.items():
                same = same and numbers(have[mode]) == n and (mode == "conlleval" or values(have[mode]) == v)
            if not same:
                differing += 1
                examples = examples or [{"gold": gold, "predicted": predicted}]
    return {"files": done, "differing": differing, "example": examples, "met": differing == 0}


def evaluated(isogloss, checkpoint, data):
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "out.conll"
        subprocess.run([isogloss, "predict", checkpoint, "--input", data, "--output", out], check=True)
        predicted = [tags for _, tags in read_conll(out)]
    gold = [tags for _, tags in read_conll(data)]
    answer = subprocess.run([isogloss, "evaluate", checkpoint, "--data", data, "--json"], capture_output=True, text=True, check=True)
    report = objects(answer.stdout)[0]
    mode = {"mode": "strict", "scheme": getattr(schemes, report["scheme"])} if report["mode"] == "strict" else {}
    have = [report[f"overall_{k}"] for k in ("precision", "recall", "f1")]
    want = [float(score(gold, predicted, **mode)) for score in (precision_score, recall_score, f1_score)]
    return {"checkpoint": checkpoint, "data": data, "mode": report["mode"], "isogloss": have, "seqeval": want, "met": have == want}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True, help="the program")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--checkpoint")
    parser.add_argument("--data")
    a = parser.parse_args()
    if bool(a.checkpoint) != bool(a.data):
        parser.error("--checkpoint and --data go together")
    result = evaluated(a.isogloss, a.checkpoint, a.data) if a.data else random_files(a.isogloss, a.files, a.seed)
    print(json.dumps({"point": 5} | result, ensure_ascii=False))
    sys.exit(not result["met"])


if __name__ == "__main__":
    main()
