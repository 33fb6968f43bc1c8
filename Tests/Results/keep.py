#!/usr/bin/env python3
"""Keeps what a run found, without any text of its corpora: the counts of each test sentence, and results.json.

    Tests/Results/keep.py RUN Tests/Results/NAME

Of systems with a stage for each language only predictions of a stage's own languages are kept, of others all. What is there
already of other stages stays: cells of one run may be kept as they come. `isogloss compare Tests/Results/NAME` reads them.
"""
import glob
import gzip
import json
import os
import shutil
import sys


def header(path):
    with open(path) as file:
        return json.loads(file.readline()[2:])


def main():
    run, folder = sys.argv[1].rstrip("/"), sys.argv[2].rstrip("/")
    paths = sorted(glob.glob(run + "/*/predictions/*.test.counts.tsv"))
    headers = {path: header(path) for path in paths}
    sources = {}
    for facts in headers.values():
        sources.setdefault((facts["system"], facts.get("seed")), set()).add(facts["stage"])
    kept = 0
    for path in paths:
        facts = headers[path]
        if len(sources[facts["system"], facts.get("seed")]) > 1 and facts["language"] not in facts["trained"]:
            continue
        stage = path.split("/")[-3]
        os.makedirs(f"{folder}/{stage}", exist_ok=True)
        with open(path, "rb") as file, open(f"{folder}/{stage}/{os.path.basename(path)}.gz", "wb") as out:
            # No name and no time: the same counts are the same bytes.
            with gzip.GzipFile(filename="", mode="wb", compresslevel=9, mtime=0, fileobj=out) as packed:
                shutil.copyfileobj(file, packed)
        kept += 1
    if os.path.exists(run + "/results.json"):
        shutil.copy(run + "/results.json", folder + "/results.json")
    print(f"{kept} files of counts in {folder}")


main()
