"""What the conlleval script of CoNLL-2000/2003 (version of 26 January 2004) counts and prints, in Python.

Written from its rules, for `scores.py` here and for Tests/Peers/scores.py:

- A tag is split at its first hyphen into a prefix and a type; without a hyphen the type is empty, and
  so it is when it is "0" (which Perl holds to be false).
- Sentences are one stream, with an outside tag ("O", no type) on both sides at each boundary.
- Whether a chunk starts or ends between two tags is a function of their prefixes and types alone.
- A chunk is correct if both sides start one of the same type together, no side ends or changes type
  without the other, and both end together.
"""

ENDS = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O"), ("E", "E"), ("E", "I"), ("E", "O")}
STARTS = {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I"), ("E", "E"), ("E", "I"), ("O", "E")}
OUTSIDE = ("O", "")


def split(tag):
    prefix, hyphen, kind = tag.partition("-")
    return prefix, "" if not hyphen or kind == "0" else kind


def ends(before, after):
    return (
        (before[0], after[0]) in ENDS
        or before[0] in "[]" and before[0] != ""
        or before[0] not in ("O", ".") and before[1] != after[1]
    )


def starts(before, after):
    return (
        (before[0], after[0]) in STARTS
        or after[0] in "[]" and after[0] != ""
        or after[0] not in ("O", ".") and before[1] != after[1]
    )


def count(gold, predicted):
    """Counts of two lists of sentences of tags: {"tokens", "tags", "types": {type: [gold, predicted, correct]}}.

    `tags` is the number of tokens whose two tags agree.
    """
    tokens = tags = 0
    types = {}
    stream = []
    for index, (g, p) in enumerate(zip(gold, predicted, strict=True)):
        if index:
            stream.append((OUTSIDE, OUTSIDE, False))
        stream += [(split(a), split(b), True) for a, b in zip(g, p, strict=True)]

    def add(kind, place):
        types.setdefault(kind, [0, 0, 0])[place] += 1

    inside = False
    last = (OUTSIDE, OUTSIDE)
    for g, p, is_token in stream:
        gold_ends, predicted_ends = ends(last[0], g), ends(last[1], p)
        if inside:
            if gold_ends and predicted_ends and last[0][1] == last[1][1]:
                inside = False
                add(last[0][1], 2)
            elif gold_ends != predicted_ends or g[1] != p[1]:
                inside = False
        gold_starts, predicted_starts = starts(last[0], g), starts(last[1], p)
        if gold_starts and predicted_starts and g[1] == p[1]:
            inside = True
        if gold_starts:
            add(g[1], 0)
        if predicted_starts:
            add(p[1], 1)
        if is_token:
            tokens += 1
            tags += g == p
        last = (g, p)
    if inside:
        add(last[0][1], 2)
    return {"tokens": tokens, "tags": tags, "types": types}


def rates(gold, predicted, correct):
    """Precision, recall and FB1 in per cent; what would divide by zero is 0."""
    precision = 100 * correct / predicted if predicted else 0.0
    recall = 100 * correct / gold if gold else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def report(counts):
    """The text that the script prints. A type of no letters that both sides have is printed twice, as there."""
    gold, predicted, correct = (sum(row[i] for row in counts["types"].values()) for i in range(3))
    text = (f"processed {counts['tokens']} tokens with {gold} phrases; "
            f"found: {predicted} phrases; correct: {correct}.\n")
    if counts["tokens"]:
        values = (100 * counts["tags"] / counts["tokens"], *rates(gold, predicted, correct))
        text += "accuracy: %6.2f%%; precision: %6.2f%%; recall: %6.2f%%; FB1: %6.2f\n" % values
    for kind in sorted(counts["types"], key=str.encode):
        row = counts["types"][kind]
        line = " " * (17 - len(kind.encode())) + kind
        line += ": precision: %6.2f%%; recall: %6.2f%%; FB1: %6.2f  " % rates(*row) + f"{row[1]}\n"
        text += line * (2 if kind == "" and row[0] and row[1] else 1)
    return text
