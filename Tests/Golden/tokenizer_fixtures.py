#!/usr/bin/env python3
"""Small tokenizers of every kind, and what the reference libraries make of awkward lines with them.

    python3 Tests/Golden/tokenizer_fixtures.py Tests/TokenizersTests/Fixtures minilm=DIR sp32k=FILE.model

needs transformers, tokenizers and sentencepiece. Made with transformers 5.23, tokenizers 0.23 and sentencepiece
0.2.3. Writes lines.jsonl, one JSON string a line; a folder for each tokenizer, which is made from those lines; and for
each NAME.ids: a line of ids with the tokens that open and close a sequence, a tab, and the ids of its words between
single blanks, each word by itself, divided by "|". NAME=PATH writes the ids of a further tokenizer: a folder with a
vocab.txt, a tokenizer.json, or a SentencePiece model, whose ids are put in XLM-R's layout.
"""
import json
import pathlib
import sys
import tempfile
import unicodedata

import sentencepiece
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizer, XLMRobertaTokenizer

# Our own sentences, with what tokenizers stumble over. No line feed: files are read by line.
LINES = [
    "", " ", "a", "The quick brown fox.", "the the  the   the", "  leading and trailing  ",
    "tab\tbetween\twords", "carriage\rreturn", "form\x0cfeed and\x0bvertical tab", "next\x85line",
    "null\x00inside", "bell\x07 and delete\x7f", "no\xa0break\u202fspaces\u3000here",
    "line\u2028and\u2029paragraph", "zero\u200bwidth\u200cjoin\u200der", "soft\xadhyphen",
    "byte\ufeffmark", "word\u2060joiner", "replacement\ufffdcharacter", "private\ue000use",
    "left\u200e-to-\u200fright", "unassigned\u0378 code\U000e0080",
    "CAF\xc9 caf\xe9 Cafe\u0301", "\xc5ngstr\xf6m \u212bngstro\u0308m", "na\xefve fa\xe7ade co\xf6perate",
    "Stra\xdfe STRASSE \u1e9e", "\u0130stanbul \u0131\u015f\u0131k I\u0307zmir", "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u039f\u0394\u039f\u03a3",
    "\u017dlu\u0165ou\u010dk\xfd k\u016f\u0148", "za\u017c\xf3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144", "Vi\u1ec7t Nam Vie\u0323\u0302t nam",
    "\u1ecd\u0300r\u1ecd\u0300 \u1eb9\u0300k\u1ecd\u0301 o\u0323\u0300", "q\u0323\u0307 \u1e0b\u0323 a\u0301\u0327", "\ufb01sh \ufb03x \ufb06ep \u01c6 \u0133",
    "\uff26\uff55\uff4c\uff4c \uff37\uff49\uff44\uff54\uff48\uff01 \uff11\uff12\uff13", "\uff76\uff9e\uff97\uff7d \uff8a\uff9f\uff98", "x\xb2 + y\xb3 = \xbd \u2460 \u2122 \u33be",
    "\u4e2d\u6587\u5b57 and \u65e5\u672c\u8a9e\u3067\u3059\u3002", "\u6771\u4eac\u90fd\u306b\u3042\u308b", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab\uae00",
    "\U00020000\U0002a6d6 \u3400\u9fff \uf900 \U0002b820", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0e19\u0e49\u0e33 \u0e4d\u0e32", "\u0939\u093f\u0928\u094d\u0926\u0940 \u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f",
    "\u09ac\u09be\u0982\u09b2\u09be \u09af\u09bc", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0645\u064f\u062d\u064e\u0645\u064e\u0651\u062f \u0640\u0640", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\u1230\u120b\u121d \u12d3\u1208\u121d\u1362", "\u0bb8\u0bcd\u0bb0\u0bc0 \u0ba4\u0bae\u0bbf\u0bb4\u0bcd", "\U0001f600 smile \U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "flags \U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea\U0001f1ea", "thumb \U0001f44d\U0001f3fd heart \u2764\ufe0f keycap 1\ufe0f\u20e3", "z\u0351\u0352\u0353a\u0363\u0364lgo\u0489",
    "don't can't O'Neil rock'n'roll", "\u201cquoted\u201d \u2018single\u2019 \xabguillemets\xbb \u2014 dash\u2026", "1,234.56 $9.99 50% #tag @name a_b",
    "http://example.org/a?b=c&d=e~f^g`h|i", "[MASK] [CLS]x[SEP] [mask] <mask> <s>a</s> <pad><unk>", "a<mask>b  <mask>  c[MASK]d",
    "\u2581lower \u2581\u2581block", "##ing x##y # #", "new marks \u1ac1 \U0001e130 \u0898 \U00011f00",
    "punctuation \u2e52 \u0df4 \u055a \u104a \U00010100 \u166d", "pneumono" * 13 + "sis", "word" * 24 + "word", "w" * 100, "w" * 101,
    "\u0301lead mark", "e\u0301\u0301 \u1e17 \u01d6", "\u0587 \ufb16 \u1f80 \u1f88 \u01c5",
    "Hello, World! It's 3.14 % of 1,000.", "naïve café Ångström coöperate", "e\u0301te\u0301 NFD and \u00e9t\u00e9 NFC",
    "北京和東京 tokyo", "control\u0007char and\u200bzero\u200dwidth", "emoji 😀 👩‍👩‍👧 flags 🇩🇪", "שלום עולם, مرحبا بالعالم",
    "ภาษาไทย ไม่มีช่องว่าง", "ligature ﬁ ﬂ full-width ＡＢＣ １２３", "tab\tand  two  blanks ", "   leading and trailing   ",
    "İstanbul ǅ ẞ straße ΟΔΟΣ", "a" * 120, "हिन्दी में लिखा हुआ", "한국어 문장 둘", "quotes “double” ‘single’ «angle»",
    "dash – em — minus −5 ± 2", "Ünïcödé wîth mâny äccents", "I LOVE [MASK] and <mask> tokens", "ñandú İ ı ß",
    "math x² + y³ ≠ ½ ∑", "soft\u00adhyphen no\u00a0break", "the the the cat sat on the mat", "running runner runs ran",
    "ዓለም ሰላም", "Привет, мир! Ёлка", "Γειά σου Κόσμε", "\u0302 alone mark", "mixed漢字kanji混ぜ", "(a[b]{c}<d>)|e\\f/g",
]




def xlmr(ids):
    """SentencePiece's ids in XLM-R's layout, where the unknown is 3 and all others move by one."""
    return [3 if i == 0 else i + 1 for i in ids]


def load(path):
    """Two functions: the ids of a text with the opening and closing token, and the ids of each word."""
    if path.suffix == ".model":
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        text = lambda line: [0] + xlmr(model.encode(line)) + [2]
        return text, lambda words: [xlmr(model.encode(word)) for word in words]
    # As a user meets it: read back, which can move a score by an ulp and with it a tie.
    tokenizer = BertTokenizer.from_pretrained(path)._tokenizer if path.is_dir() else Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def of_words(words):
        encoding = tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)
        ids = [[] for _ in words]
        for i, word in zip(encoding.ids, encoding.word_ids):
            ids[word].append(i)
        return ids

    return lambda line: tokenizer.encode(line).ids, of_words


def pieces(lines):
    """A WordPiece vocabulary: characters but every eleventh, some whole words, heads and tails."""
    found = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for lower in (True, False):
        normalizer = normalizers.BertNormalizer(lowercase=lower)
        splitter = pre_tokenizers.BertPreTokenizer()
        texts = [normalizer.normalize_str(line) for line in lines]
        words = sorted({word for text in texts for word, _ in splitter.pre_tokenize_str(text)})
        characters = sorted({character for word in words for character in word})
        for index, character in enumerate(characters):
            if index % 11 != 10:
                found += [character, "##" + character]
        for index, word in enumerate(words):
            if len(word) < 30 and index % 2 == 0:
                found.append(word)
            if 5 < len(word) < 30:
                found += [word[:3], "##" + word[-2:]]
    return list(dict.fromkeys(found))


def rules(lines):
    """Normalisation rules for SentencePiece: NFKC of what the lines have, blanks, and what vanishes."""
    source = {"\t": " ", "\r": " ", "\x0c": " ", "\x85": " ", "\u3000": " ", "\xa0": " ", "\u200b": " "}
    source |= {"\x07": "", "\x7f": "", "\u200e": "", "\ufeff": ""}
    for line in lines:
        for start in range(len(line)):
            for end in range(start + 1, min(len(line), start + 3) + 1):
                part = line[start:end]
                whole = unicodedata.normalize("NFKC", part)
                if whole != part and not unicodedata.combining(part[0]):
                    if end - start == 1 or len(whole) == 1:
                        source.setdefault(part, whole)
    code = lambda text: " ".join(f"{ord(character):x}" for character in text)
    return "".join(f"{code(key)}\t{code(value)}\n" for key, value in sorted(source.items()))


def write_wordpiece(folder):
    """The same pieces twice: uncased as transformers 4 lays it out, cased as a tokenizer.json."""
    vocabulary = pieces(LINES)
    uncased = folder / "uncased"
    uncased.mkdir(exist_ok=True)
    (uncased / "vocab.txt").write_text("".join(piece + "\n" for piece in vocabulary), newline="\n")
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
    (uncased / "special_tokens_map.json").write_text(json.dumps(names) + "\n")
    config = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "tokenizer_class": "BertTokenizer"}
    (uncased / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    (folder / "cased").mkdir(exist_ok=True)
    cased = BertTokenizer(vocab={piece: i for i, piece in enumerate(vocabulary)}, do_lower_case=False)
    cased._tokenizer.save(str(folder / "cased" / "tokenizer.json"), pretty=False)


def plain(lines):
    """Lines to train on: without what would become a special token's piece a second time."""
    return [line.replace("\0", "").replace("<", "").replace("\u2581", "") for line in lines]


def write_sentencepiece(folder):
    """A unigram model with rules of its own, and the tokenizer.json that transformers makes of it for XLM-R."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "rules.tsv").write_text(rules(LINES))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([line for line in plain(LINES) if len(line) < 100] * 3),
            model_prefix=str(scratch / "model"), vocab_size=700, hard_vocab_limit=False, character_coverage=0.98,
            normalization_rule_tsv=str(scratch / "rules.tsv"), num_threads=1, minloglevel=2)
        (folder / "sentencepiece").mkdir(exist_ok=True)
        model = folder / "sentencepiece" / "sentencepiece.bpe.model"
        (scratch / "model.model").replace(model)
        (scratch / "xlmr").mkdir()
        (scratch / "xlmr" / model.name).write_bytes(model.read_bytes())
        (scratch / "xlmr" / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
        (folder / "xlmr").mkdir(exist_ok=True)
        made = XLMRobertaTokenizer.from_pretrained(scratch / "xlmr")
        made._tokenizer.save(str(folder / "xlmr" / "tokenizer.json"), pretty=False)


def write_bpe(folder):
    """A BPE of tokenizers' own training, runs of unknown characters one, and a mark before each word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Prepend(" "), normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Replace(Regex(" $"), ""), normalizers.Replace(" ", "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.train_from_iterator(plain(LINES) * 4, trainers.BpeTrainer(
        vocab_size=500, limit_alphabet=250, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")])
    (folder / "bpe").mkdir(exist_ok=True)
    tokenizer.save(str(folder / "bpe" / "tokenizer.json"), pretty=False)


def write_unigram(folder):
    """A Unigram of tokenizers' own training, with normalisers in sequence and words apart."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("``", '"'), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.train_from_iterator(plain(LINES) * 4, trainers.UnigramTrainer(
        vocab_size=500, unk_token="<unk>", special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")])
    (folder / "unigram").mkdir(exist_ok=True)
    tokenizer.save(str(folder / "unigram" / "tokenizer.json"), pretty=False)


def joined(ids):
    return " ".join(map(str, ids))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    write_wordpiece(folder)
    write_sentencepiece(folder)
    write_unigram(folder)
    write_bpe(folder)
    paths = {"uncased": folder / "uncased", "cased": folder / "cased/tokenizer.json", "xlmr": folder / "xlmr/tokenizer.json",
             "unigram": folder / "unigram/tokenizer.json", "bpe": folder / "bpe/tokenizer.json",
             "sentencepiece": folder / "sentencepiece/sentencepiece.bpe.model"}
    paths |= {name: pathlib.Path(path) for name, path in (other.split("=", 1) for other in sys.argv[2:])}
    for name, path in paths.items():
        text, of_words = load(path)
        (folder / f"{name}.ids").write_text("".join(
            f"{joined(text(line))}\t{'|'.join(map(joined, of_words(line.split(' '))))}\n" for line in LINES))


if __name__ == "__main__":
    main()
