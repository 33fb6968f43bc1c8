#!/usr/bin/env python3
"""1,000 random pairs of tag sequences with the answers of seqeval and conlleval, for Tests/CorpusTests.

    python3 Tests/Golden/scores.py Tests/CorpusTests/Scores/scores.json

needs seqeval and numpy. Made with seqeval 1.2.2 and numpy 2.4. conlleval's answers are those of
conlleval.py; with `--script conlleval.pl` every text is compared with that Perl program's.

The file is {"cases": [case …]}, one case a line. Tags are joined by spaces, sentences by "|".
A sentence may be empty. Keys of a case:

    g, p   gold and predicted tags
    k      the scheme that strict mode is asked for
    d, s   default and strict mode: {"n": {type: [support, predicted, correct]}, "v": nine numbers:
           precision, recall, F1 of micro, macro and weighted averages}; "v" is null where there are no
           types (the macro average is then not a number), s is null where seqeval raises an error
    a      the share of equal tags, null where there are none
    c      conlleval: {"n": as above, "t": [tokens, equal tags]}
    rd, rs, rc   in every 40th case: classification_report with 4 digits, and conlleval's text
    auto   in every 40th case: the scheme that seqeval detects in the gold tags, or null
"""
import argparse
import json
import random
import subprocess
import warnings

import numpy
from seqeval import scheme as schemes
from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

import conlleval

warnings.simplefilter("ignore")
SCHEMES = {name: getattr(schemes, name) for name in ("IOB1", "IOB2", "IOE1", "IOE2", "IOBES", "BILOU")}
PREFIXES = {"IOB1": "BI", "IOB2": "BI", "IOE1": "EI", "IOE2": "EI", "IOBES": "BIES", "BILOU": "BILU"}


def tags(rng, scheme):
    """The tags that a case draws from: mostly the scheme's, sometimes odd ones."""
    kinds = rng.choice([["A"], ["A", "B"], ["A", "B"], ["A-A", "A", "B-"], ["é", "人"], ["0", "B", "a"]])
    if rng.random() < 0.03:  # enough that the order of numpy's sum over types shows
        kinds = [chr(65 + i) for i in range(20)]
    found = [f"{prefix}-{kind}" for prefix in PREFIXES[scheme] for kind in kinds]
    extra = rng.random()
    if extra < 0.1:
        found += list(PREFIXES[scheme])  # no type
    elif extra < 0.2:
        found += ["B-A", "I-A", "E-A", "S-A", "E", "S", "I"]
    elif extra < 0.25:
        found += ["[-A", "]-A", ".-A", "[", "]", ".", "X-A", "XY-A", "X", "O-A", "-A", "-", "é-A", "BB", "B--A"]
    elif extra < 0.3:
        found += ["O-", "O-A", "B-", "BA", "IA", "B--A", "I-A-"]
    return found


def sequence(rng, scheme, length, choices):
    """Half of the time spans as the scheme writes them, half of the time any tags at all."""
    if rng.random() < 0.5:
        return [rng.choice(choices) if rng.random() < 0.6 else "O" for _ in range(length)]
    found = []
    while len(found) < length:
        size = rng.choice([1, 1, 2, 3])
        kind = rng.choice(choices)[2:] or "A"
        inner = ["I"] * size
        if scheme in ("IOB2", "IOBES", "BILOU"):
            inner[0] = "B"
        if scheme in ("IOE2", "IOBES"):
            inner[-1] = "E"
        if scheme == "BILOU":
            inner[-1] = "L"
        if size == 1 and scheme in ("IOBES", "BILOU"):
            inner = ["S" if scheme == "IOBES" else "U"]
        found += [f"{prefix}-{kind}" for prefix in inner] if rng.random() < 0.6 else ["O"]
    return found[:length]


def case(rng):
    scheme = rng.choice(["IOB2"] * 5 + sorted(SCHEMES))
    choices = tags(rng, scheme)
    gold, predicted = [], []
    for _ in range(rng.choice([1, 1, 1, 2])):
        length = rng.choice([0, 1, 2, 3, 4, 5, 6, 8]) if len(choices) < 20 else 25
        gold.append(sequence(rng, scheme, length, choices))
        change = rng.choice([0, 0.1, 0.3, 1])
        predicted.append([rng.choice(choices + ["O"]) if rng.random() < change else tag for tag in gold[-1]])
    return scheme, gold, predicted


def default_spans(sentences):
    return set(get_entities(sentences))


def strict_spans(sentences, scheme):
    found = schemes.Entities(sentences, scheme).entities
    return {(e.tag, e.sent_id, e.start, e.end) for sentence in found for e in sentence}


def short(value):
    """The same number, written with the fewest letters."""
    return int(value) if value == int(value) else float(value)


def seqeval_answer(gold, predicted, g, p, **mode):
    types = sorted({span[0] for span in g | p})
    counts = {t: [sum(s[0] == t for s in x) for x in (g, p, g & p)] for t in types}
    if not types:
        return {"n": counts, "v": None}
    values = [short(score(gold, predicted, average=average, **mode)) for average in ("micro", "macro", "weighted")
              for score in (precision_score, recall_score, f1_score)]
    return {"n": counts, "v": values}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--script", help="the Perl program to compare conlleval.py with")
    arguments = parser.parse_args()
    rng = random.Random(7)
    lines = []
    for index in range(1000):
        scheme, gold, predicted = case(rng)
        full = index % 40 == 0
        row = {"g": "|".join(map(" ".join, gold)), "p": "|".join(map(" ".join, predicted)), "k": scheme}
        g, p = default_spans(gold), default_spans(predicted)
        row["d"] = seqeval_answer(gold, predicted, g, p)
        try:
            sg, sp = strict_spans(gold, SCHEMES[scheme]), strict_spans(predicted, SCHEMES[scheme])
            row["s"] = seqeval_answer(gold, predicted, sg, sp, mode="strict", scheme=SCHEMES[scheme])
        except (KeyError, ValueError):
            row["s"] = None
        row["a"] = accuracy_score(gold, predicted) if any(gold) else None
        counts = conlleval.count(gold, predicted)
        row["c"] = {"n": counts["types"], "t": [counts["tokens"], counts["tags"]]}
        if full:
            if row["d"]["v"]:
                row["rd"] = classification_report(gold, predicted, digits=4)
            if row["s"] and row["s"]["v"]:
                row["rs"] = classification_report(gold, predicted, digits=4, mode="strict", scheme=SCHEMES[scheme])
            row["rc"] = conlleval.report(counts)
            try:
                row["auto"] = schemes.auto_detect(gold).__name__
            except ValueError:
                row["auto"] = None
        if arguments.script:
            text = "\n".join("".join(f"w {a} {b}\n" for a, b in zip(*pair)) for pair in zip(gold, predicted))
            answer = subprocess.run(["perl", arguments.script], input=text.encode(), capture_output=True).stdout.decode()
            assert answer == conlleval.report(counts), (gold, predicted, answer, conlleval.report(counts))
        lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    with open(arguments.out, "w", encoding="utf-8") as file:
        file.write('{"cases":[\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
