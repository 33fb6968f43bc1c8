#!/usr/bin/env python3
"""Point 6: `isogloss tokenizer encode` against transformers or SentencePiece over whole files, line by line.

    python3 Tests/Peers/tokenizers_compare.py --isogloss .build/release/isogloss --tokenizer all-minilm-l6-v2 data/ner/*/*.conll data/text/*.gz
    python3 Tests/Peers/tokenizers_compare.py --isogloss .build/release/isogloss --tokenizer sp32k.model …

A folder is read by AutoTokenizer. A file `x.model` is read by SentencePiece, with XLM-R's layout: 0 opens, 2 closes,
an unknown piece is 3, any other piece its id + 1. A CoNLL file's lines are its sentences, words joined by a space; of
other files every line that is not blank counts. Prints the first differing lines on stderr and one line of JSON;
exit code 1 if any differs.
"""
import argparse
import gzip
import json
import subprocess
import sys

from minilm import read_conll


def lines_of(path):
    if path.endswith(".conll"):
        return [" ".join(words) for words, _ in read_conll(path)]
    data = gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read()
    lines = [line.removesuffix(b"\r").decode() for line in data.split(b"\n")]
    return [line for line in lines if line.strip()]


def split(line):
    return [word for word in line.split(" ") if word]


def reference(path, words):
    """A function from lines to their ids, special tokens included; with words, of each word between blanks by itself."""
    if path.endswith(".model"):
        import sentencepiece
        model = sentencepiece.SentencePieceProcessor(model_file=path)
        unknown = model.unk_id()
        def whole(ids):
            return [0, *(3 if i == unknown else i + 1 for i in ids), 2]
        if words:
            return lambda lines: [whole(i for ids in model.encode(split(line)) for i in ids) for line in lines]
        return lambda lines: [whole(ids) for ids in model.encode(lines)]
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.model_max_length = 10**9
    if words:
        return lambda lines: tokenizer([split(line) for line in lines], is_split_into_words=True)["input_ids"]
    return lambda lines: tokenizer(lines)["input_ids"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isogloss", required=True, help="the program")
    parser.add_argument("--tokenizer", required=True, help="a folder, or a SentencePiece model")
    parser.add_argument("--words", action="store_true", help="encode each word between blanks by itself, as for tagging")
    parser.add_argument("--show", type=int, default=3, help="how many differing lines to show; default 3")
    parser.add_argument("files", nargs="+", help="CoNLL files, text, text.gz")
    a = parser.parse_args()
    encode = reference(a.tokenizer, a.words)
    total, differing, per_file = 0, 0, {}
    for path in a.files:
        lines = lines_of(path)
        answer = subprocess.run([a.isogloss, "tokenizer", "encode", "--tokenizer", a.tokenizer, *["--words"] * a.words],
                                input="".join(line + "\n" for line in lines).encode(), stdout=subprocess.PIPE, check=True)
        ours = [[int(i) for i in line.split()] for line in answer.stdout.decode().split("\n")[:-1]]
        if len(ours) != len(lines):
            sys.exit(f"{path}: {len(ours)} lines of ids for {len(lines)} lines")
        wrong = [(line, x, y) for line, x, y in zip(lines, ours, encode(lines)) if x != y]
        for line, x, y in wrong[:max(0, a.show - differing)]:
            print(f"{path}: {line!r}\n  isogloss  {x}\n  reference {y}", file=sys.stderr)
        total += len(lines)
        differing += len(wrong)
        if wrong:
            per_file[path] = len(wrong)
    print(json.dumps({"point": 6, "tokenizer": a.tokenizer, "words": a.words, "files": len(a.files), "lines": total, "differing": differing,
                      "differing_in": per_file, "met": differing == 0}))
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
