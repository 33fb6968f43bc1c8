#!/usr/bin/env python3
"""What SciPy, statsmodels and nervaluate make of two systems' counts and of random taggings.

    python3 Tests/Golden/comparison.py Tests/ComparisonTests/Fixtures/comparison.json

needs scipy, statsmodels and nervaluate. Made with scipy 1.17.1, statsmodels 0.15.0 and nervaluate 1.2.1.

- bootstrap: rows of counts (gold, then predicted and correct of each run of the first system, then of the second), the
  samples that scipy.stats.bootstrap drew, and its percentile intervals of both F1 and of their difference.
- reference: rows of one run a system, and NumPy's percentile interval of the difference over 200,000 samples.
- permutations: rows of few sentences, and the exact two-sided p-value of scipy.stats.permutation_test.
- holm: p-values, and those that statsmodels' multipletests corrects.
- errors: taggings in IOB2, a digit a word (0 O, 1 B-A, 2 I-A, 3 B-B, 4 I-B, 5 B-C, 6 I-C), and nervaluate's counts of its four strategies:
  correct, incorrect, partial, missed, spurious.
"""
import json
import random
import sys

import numpy as np
from nervaluate.evaluator import Evaluator
from scipy import stats
from statsmodels.stats.multitest import multipletests

SEEDS = 3
TAGS = ["O", "B-A", "I-A", "B-B", "I-B", "B-C", "I-C"]


def rows(rng, units):
    found = []
    for _ in range(units):
        gold = int(rng.integers(0, 5))
        row = [gold]
        for system in range(2):
            for _ in range(SEEDS):
                correct = int(rng.binomial(gold, 0.7 + 0.1 * system))
                row += [correct + int(rng.integers(0, 3)), correct]
        found.append(row)
    return np.array(found)


def f1(sums, system):
    values = []
    for seed in range(SEEDS):
        predicted, correct = sums[1 + 2 * (system * SEEDS + seed):][:2]
        precision = correct / predicted if predicted else 0
        recall = correct / sums[0] if sums[0] else 0
        values.append(2 * precision * recall / (precision + recall) if precision + recall else 0)
    return sum(values) / SEEDS


def bootstrap(rng):
    table = rows(rng, 25)
    samples, intervals = [], {}
    for name, value in (
            ("first", lambda s: f1(s, 0)), ("second", lambda s: f1(s, 1)),
            ("difference", lambda s: f1(s, 1) - f1(s, 0))):
        drawn = []

        def statistic(units):
            units = np.asarray(units, dtype=int)
            drawn.append(units.tolist())
            return value(table[units].sum(axis=0))

        result = stats.bootstrap(
            (np.arange(len(table)),), statistic, n_resamples=300, method="percentile", vectorized=False,
            rng=np.random.default_rng(11))
        intervals[name] = [float(result.confidence_interval.low), float(result.confidence_interval.high)]
        # One more call of the statistic may be of the data as they are.
        samples.append([sample for sample in drawn if sample != list(range(len(table)))])
    assert samples[0] == samples[1] == samples[2] and len(samples[0]) == 300
    return {"rows": table.tolist(), "samples": samples[0], "intervals": intervals}


def reference(rng):
    """One run a system, and the interval of the difference over so many samples that their error is small."""
    table = rows(rng, 200)[:, [0, 1, 2, 1 + 2 * SEEDS, 2 + 2 * SEEDS]]
    values = []
    for _ in range(200):
        sums = rng.multinomial(200, np.full(200, 1 / 200), size=1000) @ table
        first, second = (2 * sums[:, 2 + 2 * s] / (sums[:, 0] + sums[:, 1 + 2 * s]) for s in range(2))
        values.append(second - first)
    values = np.concatenate(values)
    return {
        "rows": table.tolist(), "interval": np.percentile(values, [2.5, 97.5]).tolist(), "deviation": float(values.std())}


def permutation(rng, units):
    table = rows(rng, units)
    half = 2 * SEEDS

    def statistic(first, second, axis=-1):
        sums = np.concatenate([
            [table[:, 0].sum()], table[first.astype(int) // 2][np.arange(units)[:, None], side(first)].sum(axis=0),
            table[second.astype(int) // 2][np.arange(units)[:, None], side(second)].sum(axis=0)])
        return f1(sums, 1) - f1(sums, 0)

    def side(codes):
        start = 1 + half * (codes.astype(int) % 2)
        return start[:, None] + np.arange(half)[None, :]

    # A code is the sentence and whose output it is.
    result = stats.permutation_test(
        (2 * np.arange(units), 2 * np.arange(units) + 1), statistic, permutation_type="samples", vectorized=False,
        n_resamples=np.inf, alternative="two-sided")
    return {"rows": table.tolist(), "difference": float(result.statistic), "p": float(result.pvalue)}


def tagging(random, words, like=None):
    tags = []
    for word in range(words):
        if like is not None and random.random() < 0.6:
            tag = like[word]
        else:
            tag = random.choice([0, 0, 0, 1, 2, 2, 3, 4, 4, 5, 6])
        # I- goes on with what is open, or else begins.
        if tag and tag % 2 == 0 and (not tags or tags[-1] not in (tag, tag - 1)):
            tag -= 1
        tags.append(tag)
    return tags


def errors(random):
    cases = []
    for _ in range(1000):
        words = random.randrange(1, 13)
        gold = tagging(random, words)
        predicted = tagging(random, words, gold if random.random() < 0.8 else None)
        found = Evaluator(
            [[TAGS[tag] for tag in gold]], [[TAGS[tag] for tag in predicted]], tags=["A", "B", "C"], loader="list"
        ).evaluate()["overall"]
        cases.append([
            "".join(map(str, gold)), "".join(map(str, predicted))] + [
            [getattr(found[name], kind) for kind in ("correct", "incorrect", "partial", "missed", "spurious")]
            for name in ("strict", "exact", "partial", "ent_type")])
    return cases


def main():
    rng = np.random.default_rng(7)
    holm = []
    for count in (1, 2, 4, 9):
        values = rng.random(count).round(4) ** 3
        holm.append([values.tolist(), multipletests(values, method="holm")[1].tolist()])
    result = {
        "reference": reference(np.random.default_rng(13)), "bootstrap": bootstrap(rng), "permutations": [permutation(rng, units) for units in (4, 8, 10)], "holm": holm,
        "errors": errors(random.Random(3))}
    with open(sys.argv[1], "w") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


main()
