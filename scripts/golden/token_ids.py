"""Makes the golden numbers of tests/golden/tokenizers: what CLIP's and T5's tokenizers make of strange texts.

    python3 scripts/golden/token_ids.py make     writes the files anew
    python3 scripts/golden/token_ids.py check    says whether they hold what would be written

clip.json.gz has CLIP's real vocabulary, as far as the texts need it: the merges that splitting them applies, in
their order, and the tokens of these, under their real numbers. That gives the numbers of the whole vocabulary:
each step of byte-pair encoding applies the earliest merge of those that are possible; one that is never applied
was never the earliest, so without it the same merge is. The script splits the texts with both, all the same,
and fails where one number differs.

t5.json.gz has a Unigram tokenizer that SentencePiece trains here, with its normalization `nmt_nfkc` (which T5
has) as transformers converts it; its numbers are those of the Rust package tokenizers.

steps.json.gz has small tokenizers of other steps, and the numbers of the Rust package.

Made with transformers 5.24.0, tokenizers 0.23.3, sentencepiece 0.2.3; CLIP's merges are those in the package
open_clip_torch 3.3.0 (`pip install --no-deps open_clip_torch`).
"""

import gzip
import hashlib
import importlib.util
import io
import json
import pathlib
import random
import sys
import tempfile
import unicodedata

import sentencepiece
from tokenizers import Tokenizer
from transformers import CLIPTokenizer, T5Tokenizer

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizers"
START, END = "<|startoftext|>", "<|endoftext|>"

WORDS = """a an the person man woman child cat dog fox owl whale castle lighthouse bicycle portrait photograph
painting drawing sketch watercolour of with in on under above beside and or holding wearing riding curly hair
beard glasses sunglasses hat shirt jacket background light blue green red yellow purple orange teal navy golden
hour misty mountains neon cyberpunk art nouveau style by hokusai monet 4k 8k highly detailed trending bokeh
unbelievably photorealistic tokenization antidisestablishmentarianism xylophone qwertyuiop don't can't we'll
I'm you've he'd she's they're rock'n'roll o'clock""".split()
PHRASES = """Ein Mädchen mit Öl und süßer Größe|une forêt enchantée à l'été, œuvre naïve|niño pequeño, ¿qué? ¡olé!
|Zażółć gęślą jaźń|příliš žluťoučký kůň|İstanbul'da IŞIK ığdır|ΟΔΥΣΣΕΥΣ ΣΑΣ ς σ Σ|Съешь же ещё этих мягких булок
|красная лиса в снегу|שלום עולם|السلام عليكم ورحمة الله|नमस्ते दुनिया क्षत्रिय|สวัสดีชาวโลก|안녕하세요 세계|한글
|こんにちは世界、ｶﾀｶﾅ ガギグ|你好，世界！ 一只红色的狐狸|繁體中文測試|𠜎𠜱𠝹𠱓|𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒻𝒶𝓃𝒸𝓎 𝟘𝟙𝟚|ﬁne ﬂour ﬀ ﬃ ŉ ǆ|ｆｕｌｌｗｉｄｔｈ １２３
|½ ⅓ ① ⑳ ㎏ ㍿ ™ ℡ ﷺ|é e\u0301 e\u0323\u0307 \u1e69 s\u0323\u0307 a\u0308\u0301|\u212b \u2126 \u00c5|q\u0307\u0323
|👩‍👩‍👧‍👦 👨🏽‍🚀 🏳️‍🌈 🇩🇪🇫🇷 ❤️‍🔥 1️⃣ 🫠🫡|¯\\_(ツ)_/¯ ಠ_ಠ (╯°□°)╯︵ ┻━┻|£€¥₹₿ ± × ÷ ≠ ∞ ∑ √|→ ⇒ ↔ ■ ● ★ ☂ ♞ ♬
|<|startoftext|> inside <|endoftext|> twice<|endoftext|>|<|ENDOFTEXT|> <|StartOfText|>|</s> <pad> <unk> <extra_id_0>x
|<extra_id_99><extra_id_5> <extra_id_100>|'S 'T 'RE 'LL DON'T IT'S ''s 's's x's'll|a''b 'd'd '\u017f|\u017f\u212a
|tab\there\nnew line\r\nreturn\x0bvertical\x0cform|nul \x00 inside\x00|bell \x07 escape \x1b[31m del \x7f c1 \x80\x85\x9f
|no\u00a0break thin\u2009space ideographic\u3000space line\u2028para\u2029|zero\u200bwidth\u200cjoin\u200der\u2060word\ufeffbom
|!\ufeff! \ufeff\ufeff a\ufeff|\u180e mongolian \u061c mark \u202eoverride\u202c|soft\u00adhyphen|\u2581 \u2581a\u2581b \u2581\u2581
|\uff5e ~ \u301c|\u0345\u0399 \u1fb3 \u1fbc|\u0130\u0131 \u1e9e\u00df|\U0001f468\u200d\u200d|\u0301 alone|\ud7ff\ue000\uf8ff
|\ufffd replacement \ufffe\uffff|\U0010ffff\U000e0001\U000e0100|1234567890 007 3.14159 1,000,000 2²|v1.0.0-beta+x86_64
|https://example.com/a?b=c&d=%20#e user@example.com|C:\\path\\file.txt {"json": [1, 2]} <b>html</b>|((a:1.2)) [b|c] AND --ar 16:9
|     leading|trailing     |  doubled   spaces    everywhere  |.|!|!!|!!! wow!!!|?!?!|...|\u2026|-|--|'|\"|'s|#hashtag @mention
|ALL CAPS SHOUTING|cAmElCaSe|snake_case_name|kebab-case-name|a|A|z|0|9|\u00e9|\u4e2d|\u0e01|\U0001f600""".replace("\n", "").split("|")


def texts():
    """At least 1,000 texts, the same on every run."""
    dice = random.Random(12)
    known = [chr(code) for code in range(0x20000)
             if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")]  # Python 3.11's, so of Unicode 14
    found = ["", " ", "  ", "\n", "\t \n", "\u00a0", "\u3000", "\u200b", "\x00", *PHRASES]
    found += [" ".join(dice.choices(WORDS, k=dice.randint(1, 24))) for _ in range(260)]
    found += [dice.choice([", ", ". ", "; ", " - ", "/", "", "!! "]).join(dice.choices(PHRASES, k=2)) for _ in range(160)]
    found += [" ".join(dice.choices(WORDS + PHRASES, k=4)).swapcase() for _ in range(90)]
    found += ["".join(dice.choices(known, k=dice.randint(1, 12))) for _ in range(240)]
    found += ["".join(dice.choices(known[:0x250], k=dice.randint(1, 40))) for _ in range(80)]
    found += ["".join(dice.choice([" ", "", "\t", "\u2003"]) + word for word in dice.choices(PHRASES, k=3)) for _ in range(60)]
    found += [f"{dice.choice(WORDS)}{dice.randint(0, 10**dice.randint(1, 12))}{dice.choice(PHRASES[:8])}" for _ in range(60)]
    long = " ".join(dice.choices(WORDS, k=2000))[:10_000]
    return list(dict.fromkeys([*found, long, "x" * 10_000, "\u4e2d\u6587" * 300, "!" * 500, " " * 2000 + "end", "a " * 500]))


def byte_characters():
    """GPT-2's printable characters, byte by byte in the order of CLIP's vocabulary."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + i) for i in range(len(rest))]


def clip_vocabulary():
    """CLIP's tokens with their numbers, and its merges."""
    package = pathlib.Path(importlib.util.find_spec("open_clip").origin).parent
    lines = gzip.decompress((package / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode().split("\n")
    merges = lines[1:49152 - 256 - 2 + 1]
    single = byte_characters()
    tokens = [*single, *(token + "</w>" for token in single),
              *(merge.replace(" ", "") for merge in merges), START, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def clip_tokenizer(vocab, merges, config):
    """transformers' own, from files as pipelines publish them."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "vocab.json").write_text(json.dumps(vocab))
        (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        return CLIPTokenizer.from_pretrained(folder)


def added(content, normalized=True):
    return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}


# As the pipelines of FLUX.1 and of Stable Diffusion 3 publish them; `tokenizer_2` of the latter pads with "!".
CLIP_L = {"add_prefix_space": False, "bos_token": {"__type": "AddedToken", **added(START)}, "do_lower_case": True,
          "eos_token": {"__type": "AddedToken", **added(END)}, "errors": "replace", "model_max_length": 77,
          "pad_token": END, "tokenizer_class": "CLIPTokenizer",
          "unk_token": {"__type": "AddedToken", **added(END)}}
BIG_G = {"add_prefix_space": False, "bos_token": START, "do_lower_case": True, "eos_token": END,
         "errors": "replace", "model_max_length": 77, "pad_token": "!", "tokenizer_class": "CLIPTokenizer",
         "unk_token": END, "added_tokens_decoder": {
             "0": {**added("!", False), "special": True}, "49406": {**added(START), "special": True},
             "49407": {**added(END), "special": True}}}


def applied_merges(tokenizer, merges, written):
    """Those that splitting the texts applies, in their order, by the plainest form of byte-pair encoding."""
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
    backend, used = tokenizer.backend_tokenizer, set()
    words = {word for text in written for word, _ in
             backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))}
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            rank, place = min((ranks.get(pair, 1e9), i) for i, pair in enumerate(zip(parts, parts[1:])))
            if rank == 1e9:
                break
            used.add(rank)
            parts[place:place + 2] = [parts[place] + parts[place + 1]]
    return [merges[rank] for rank in sorted(used)]


def padded(tokenizer, written):
    return tokenizer(written, padding="max_length", truncation=True, max_length=77)["input_ids"]


def clip_golden():
    vocab, merges = clip_vocabulary()
    written = texts()
    whole = clip_tokenizer(vocab, merges, CLIP_L)
    numbers = whole(written)["input_ids"]
    few = applied_merges(whole, merges, written)
    kept = {*list(vocab)[:512], START, END, *(token for merge in few for token in (merge.replace(" ", ""), *merge.split(" ")))}
    small = {token: number for token, number in vocab.items() if token in kept}
    assert clip_tokenizer(small, few, CLIP_L)(written)["input_ids"] == numbers, "the kept merges give other numbers"
    big_g, fitted = clip_tokenizer(vocab, merges, BIG_G), written[::7]
    assert padded(clip_tokenizer(small, few, BIG_G), fitted) == padded(big_g, fitted)
    return {"vocab": small, "merges": few, "clip_l": CLIP_L, "big_g": BIG_G, "texts": written, "ids": numbers,
            "fitted": fitted, "fitted_clip_l": padded(whole, fitted), "fitted_big_g": padded(big_g, fitted)}


def t5_golden():
    """A tokenizer as T5's, trained on the plainer texts, and its numbers of all of them."""
    written, model = texts(), io.BytesIO()
    sentencepiece.set_random_generator_seed(0)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(written[9:9 + len(PHRASES) + 260 + 160 + 90]), model_writer=model,
        vocab_size=1200, hard_vocab_limit=False, character_coverage=0.98, model_type="unigram", normalization_rule_name="nmt_nfkc",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "spiece.model").write_bytes(model.getvalue())
        T5Tokenizer.from_pretrained(folder, model_max_length=64).save_pretrained(folder)
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        described = json.loads((path / "tokenizer.json").read_text())
        config = json.loads((path / "tokenizer_config.json").read_text())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000 and code != 13]
    normalized = tokenizer.normalizer.normalize_str("\n".join(characters))  # apart: a line break joins none but \r
    return {"tokenizer": described, "config": config, "texts": written,
            "ids": [tokenizer.encode(text).ids for text in written],
            "normalized_sha256": hashlib.sha256(normalized.encode()).hexdigest()}


def steps_golden():
    """Other kinds of steps than CLIP's and T5's, each in a small tokenizer of single characters and some pairs."""
    characters = sorted({chr(code) for code in (*range(32, 127), *range(0xC0, 0x180), *range(0x3B1, 0x3CA))} | {"\u2581"})
    unigram = {"type": "Unigram", "unk_id": 2, "byte_fallback": False, "vocab": [
        ["<pad>", 0], ["</s>", 0], ["<unk>", 0], *([c, -3 - i / 64] for i, c in enumerate(characters)),
        ["\u2581a", -4], ["th", -4.5], ["in", -4.25], ["er", -4.125]]}
    single = byte_characters()
    pairs = [["t", "h"], ["i", "n"], ["\u0120", "a"], ["e", "r"], ["th", "er"]]
    bpe = {"type": "BPE", "merges": pairs, "unk_token": None, "vocab": {
        token: i for i, token in enumerate(["<pad>", "</s>", *single, *("".join(pair) for pair in pairs)])}}
    some = [text for text in texts() if len(text) < 600][::9]
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{**token, "id": 0, "content": "<pad>"}, {**token, "id": 1, "content": "</s>"}]


    def known(content, **how):
        """An added token that is in the vocabulary, whose number it then has."""
        return {**token, "id": [text for text, _ in unigram["vocab"]].index(content), "content": content, **how}

    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    steps = [
        (unigram, {"type": "NFKC"}, metaspace, added),
        (unigram, {"type": "NFD"}, {**metaspace, "prepend_scheme": "first"}, [
            *added, known("in", lstrip=True), known("er", rstrip=True), known("\u00e9", normalized=True, special=False)]),
        (unigram, {"type": "Sequence", "normalizers": [
            {"type": "NFKD"}, {"type": "Strip", "strip_left": True, "strip_right": False},
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
            {"type": "Lowercase"}]}, None, [*added, known("Z", normalized=True)]),
        (unigram, {"type": "Strip", "strip_left": False, "strip_right": True},
         {"type": "Split", "pattern": {"String": "e"}, "behavior": "Isolated", "invert": False}, added),
        (unigram, None, {"type": "Split", "pattern": {"Regex": "[\\p{Lu}\\s]+"}, "behavior": "Isolated", "invert": True}, added),
        (bpe, {"type": "NFC"}, {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True, "trim_offsets": True}, added),
        (bpe, None, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False, "trim_offsets": True}, added),
    ]
    cases = []
    for model, normalizer, pre_tokenizer, tokens in steps:
        described = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "decoder": None,
                     "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None, "model": model}
        tokenizer = Tokenizer.from_str(json.dumps(described))
        cases.append({"tokenizer": described, "ids": [tokenizer.encode(text).ids for text in some]})
    return {"texts": some, "cases": cases}


def main(action):
    for name, make in (("clip", clip_golden), ("t5", t5_golden), ("steps", steps_golden)):
        path = FOLDER / f"{name}.json.gz"
        text = json.dumps(make(), ensure_ascii=False, separators=(",", ":"))
        if action == "make":
            FOLDER.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
            print(path.name, path.stat().st_size, "bytes")
        else:
            same = gzip.decompress(path.read_bytes()).decode() == text
            print(path.name, "ok" if same else "differs")
            if not same:
                sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
