#!/usr/bin/env python3
"""A small WordPiece and a small Unigram tokenizer, and what Hugging Face's `tokenizers` makes of tricky lines with them.

    python3 Tests/Golden/tokenizer_fixtures.py Tests/CorpusTests/Tokenizers/Fixtures

needs tokenizers. Made with tokenizers 0.23. Both are trained on the lines below, so that their files are ours. Each
folder then holds tokenizer.json and expected.json: {"lines": [...], "ids": [[...]], "words": [[[...]]]}, ids with the
special tokens of a sequence, and the ids of each word between blanks, alone.
"""
import json
import pathlib
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

LINES = [
    "Hello, World! It's 3.14 % of 1,000.", "naïve café Ångström coöperate", "e\u0301te\u0301 NFD and \u00e9t\u00e9 NFC",
    "北京和東京 tokyo", "control\u0007char and\u200bzero\u200dwidth", "emoji 😀 👩‍👩‍👧 flags 🇩🇪", "שלום עולם, مرحبا بالعالم",
    "ภาษาไทย ไม่มีช่องว่าง", "ligature ﬁ ﬂ full-width ＡＢＣ １２３", "tab\tand  two  blanks ", "   leading and trailing   ",
    "İstanbul ǅ ẞ straße ΟΔΟΣ", "a" * 120, "हिन्दी में लिखा हुआ", "한국어 문장 둘", "quotes “double” ‘single’ «angle»",
    "dash – em — minus −5 ± 2", "Ünïcödé wîth mâny äccents", "I LOVE [MASK] and <mask> tokens", "ñandú İ ı ß",
    "math x² + y³ ≠ ½ ∑", "soft\u00adhyphen no\u00a0break", "the the the cat sat on the mat", "running runner runs ran",
    "ዓለም ሰላም", "Привет, мир! Ёлка", "Γειά σου Κόσμε", "\u0302 alone mark", "mixed漢字kanji混ぜ", "(a[b]{c}<d>)|e\\f/g",
]


def train(folder, tokenizer, trainer, template, specials):
    tokenizer.train_from_iterator(LINES * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(s, tokenizer.token_to_id(s)) for s in specials])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    # As a user meets it: read back, which can move a score by an ulp and with it a tie.
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = {
        "lines": LINES,
        "ids": [tokenizer.encode(line).ids for line in LINES],
        "words": [[tokenizer.encode(word, add_special_tokens=False).ids for word in line.split()] for line in LINES],
    }
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")


out = pathlib.Path(sys.argv[1])
wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True)
wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
train(out / "wordpiece", wordpiece,
      trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False),
      "[CLS] $A [SEP]", ["[CLS]", "[SEP]"])
unigram = Tokenizer(models.Unigram())
unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("``", '"'), normalizers.Lowercase()])
unigram.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
train(out / "unigram", unigram,
      trainers.UnigramTrainer(vocab_size=500, unk_token="<unk>", special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False),
      "<s> $A </s>", ["<s>", "</s>"])
