"""Makes the data of peeps-flux: parts of avatars, emoji, captions, and two tokenizers that are trained on these.

    pip install torch==2.13.0 numpy pillow tokenizers==0.23.3 resvg_py==0.5.0
    python3 scripts/train/peeps_flux_data.py --out dist/peeps-flux-data

Takes some minutes of one core. `npm` must be there: it brings the pictures, whose licences models/peeps-flux/NOTICE
lists. Avatars are not stored: `Pictures.avatars()` composes them of 105 parts, each with the share that skin, clothes
and hair have in every pixel, so that any colours can be given to it.
"""

import argparse
import io
import json
import random
import re
import subprocess
from pathlib import Path

import numpy as np
import resvg_py
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

SIDE, LENGTH = 128, 40  # pixels, tokens
AVATARS = json.loads((Path(__file__).parent / "avatars.json").read_text())  # names of parts and colours → phrases
PACKAGES = ["@dicebear/open-peeps@9.4.3", "@iconify-json/noto@1.2.9", "@iconify-json/noto-v1@1.2.5",
            "@iconify-json/fluent-emoji-flat@1.2.6", "@iconify-json/fluent-emoji@1.2.7",
            "@lobehub/fluent-emoji-3d@1.1.0", "emojibase-data@17.0.0"]
STYLES = {"noto": "noto", "blob": "noto-v1", "flat": "fluent-emoji-flat", "gradient": "fluent-emoji"}
# Where the composition of Open Peeps puts each kind, in its order; the body comes first.
PLACES = {"head": "matrix(.99789 0 0 1 156 62)", "face": "translate(315 248)", "facialHair": "translate(279 400)",
          "mask": "translate(179 343)", "accessories": "translate(203 303)"}
SLOTS = ("skin", "clothing", "headContrast")  # colours that a part can take
COLOURS = ("skin", "shirt", "hair", "background")
FLIPPED = {0, 3, 4}  # groups of emoji that look as well the other way round


def render(svg: str, side: int) -> np.ndarray:
    """Pixels (side, side, 4) in 0 … 1, colours multiplied by alpha; in the middle where it is no square."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side))
    image = ImageOps.pad(Image.open(io.BytesIO(png)).convert("RGBA"), (side, side), color=(0, 0, 0, 0))
    return np.asarray(image.convert("RGBa"), np.float32) / 255


# ------------------------------------------------------------------------------------------------------------- avatars


def part_sources(modules: Path) -> list[tuple[str, str, str]]:
    """Kind, name and SVG of each part, its colours as `{skin}`, `{clothing}`, `{headContrast}`."""
    library = modules / "@dicebear/open-peeps/lib"
    colours = lambda svg: re.sub(r"\$\{escape\.xml\(`\$\{colors\.(\w+)\}`\)\}", r"{\1}", svg)
    body = re.search(r"body: `(<g fill-rule[\s\S]*?</g>)<g transform=\"matrix", (library / "index.js").read_text())
    parts = [("body", "body", colours(body.group(1)))]
    for kind, place in PLACES.items():
        source = (library / f"components/{kind}.js").read_text()
        for name, svg in re.findall(r"^    (\w+): \(components, colors\) => `(.*)`,?$", source, re.M):
            parts.append((kind, name, f'<g transform="{place}">{colours(svg)}</g>'))
    return parts


def rendered_part(svg: str) -> np.ndarray:
    """(side, side, 7) of 255: colours times alpha with black slots, alpha, and the share of each slot."""
    views = []
    for white in (None, *SLOTS):
        inner = svg
        for slot in SLOTS:
            inner = inner.replace(f"{{{slot}}}", "#ffffff" if slot == white else "#000000")
        whole = render(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 704 704" fill="none">{inner}</svg>', 512)
        views.append(whole.reshape(SIDE, 4, SIDE, 4, 4).mean((1, 3)))
    shares = np.stack([view[..., 0] - views[0][..., 0] for view in views[1:]], -1)
    return np.round(255 * np.concatenate([views[0], shares.clip(0)], -1)).astype(np.uint8)


def held_out(names: dict, colours: dict) -> bool:
    """Combinations that training never shows, to see whether the model composes."""
    return ((names["accessories"] or "").startswith("sunglasses") and colours["shirt"] == "red"
            or names["head"] in ("afro", "longAfro") and colours["background"] == "yellow"
            or (names["facialHair"] or "").startswith("full") and colours["shirt"] == "purple")


def avatar(rng: random.Random, wanted_held: bool = False) -> tuple[dict, dict, str]:
    """Names of parts, names of colours, and a caption."""
    shares = {"head": 1, "face": 1, "facialHair": 0.28, "mask": 0.05, "accessories": 0.35}
    while True:
        names = {kind: rng.choice([*AVATARS[kind]]) if rng.random() < share else None for kind, share in shares.items()}
        colours = {kind: rng.choice([*AVATARS[kind]]) for kind in COLOURS}
        if rng.random() < 0.4:
            colours["background"] = "white"
        if held_out(names, colours) == wanted_held:
            return names, colours, avatar_caption(rng, names, colours)


def avatar_caption(rng: random.Random, names: dict, colours: dict) -> str:
    phrase = lambda kind: rng.choice(AVATARS[kind][names[kind]]).format(hair=colours["hair"], shirt=colours["shirt"])
    shirt = f"a {colours['shirt']} shirt" if rng.random() < 0.8 else f"{colours['shirt']} clothes"
    rest = [phrase("face")] if rng.random() < 0.85 else []
    rest += [phrase(kind) for kind in ("facialHair", "accessories", "mask") if names[kind]]
    rest += [shirt] if rng.random() < 0.85 else []
    rest += [f"{colours['skin']} skin"] if rng.random() < 0.5 else []
    rng.shuffle(rest)
    bits = [phrase("head"), *rest]
    if rng.random() < 0.25:
        rng.shuffle(bits)
    listed = f"{', '.join(bits[:-1])} and {bits[-1]}" if len(bits) > 1 and rng.random() < 0.6 else ", ".join(bits)
    who = rng.choice(["a person", "a person", "portrait of a person", "avatar of a person", "a drawing of a person"])
    where = colours["background"]
    if where == "white" and rng.random() >= 0.3:
        return f"{who} with {listed}"
    return f"{who} with {listed}, {'on a ' if rng.random() < 1 / 3 else ''}{where} background"


def rgb(rng: random.Random, kind: str, name: str) -> list[int]:
    """The colour, a little off, so that names stand for ranges; black and white are exact behind things."""
    exact = [int(AVATARS[kind][name][i:i + 2], 16) for i in (0, 2, 4)]
    if kind == "background" and name in ("white", "black"):
        return exact
    return [min(255, max(0, int(channel + rng.gauss(0, 6)))) for channel in exact]


def avatar_row(rng: random.Random, names: dict, colours: dict, places: dict) -> list[int]:
    """Numbers of five parts, −1 where there is none, and four colours."""
    parts = [places[kind, names[kind]] if names[kind] else -1 for kind in PLACES]
    return parts + [channel for kind in COLOURS for channel in rgb(rng, kind, colours[kind])]


# --------------------------------------------------------------------------------------------------------------- emoji


def plain(code: str) -> str:
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def emoji_svg(icons: dict, name: str) -> str | None:
    icon = icons["icons"].get(name) or icons["icons"].get(icons.get("aliases", {}).get(name, {}).get("parent"))
    if icon is None:
        return None
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}">{icon["body"]}</svg>')


def emoji(modules: Path, limit: int | None) -> tuple[list[dict], np.ndarray]:
    """What each picture shows and in which style, and the pictures (n, side, side, 4), colours times alpha."""
    sets = {style: json.loads((modules / f"@iconify-json/{name}/icons.json").read_text())
            for style, name in STYLES.items()}
    names = {}
    for style, name in STYLES.items():  # two sets are named as their newer sisters
        sister = {"noto-v1": "noto", "fluent-emoji": "fluent-emoji-flat"}.get(name, name)
        chars = json.loads((modules / f"@iconify-json/{sister}/chars.json").read_text())
        names[style] = {plain(code): icon for code, icon in chars.items()}
    facts, pictures = [], []
    for entry in json.loads((modules / "emojibase-data/en/data.json").read_text())[:limit]:
        if entry.get("group") in (None, 2, 9):  # components and flags
            continue
        code = plain(entry["hexcode"])
        label = entry["label"].replace("⊛ ", "").lower()
        fact = {"label": label, "tags": entry.get("tags", []), "group": entry["group"]}
        for style, icons in sets.items():
            svg = emoji_svg(icons, names[style].get(code, ""))
            if svg is not None:
                facts.append({**fact, "style": style})
                pictures.append(np.round(255 * render(svg, SIDE)).astype(np.uint8))
        file = modules / f"@lobehub/fluent-emoji-3d/assets/{code}.webp"
        if file.exists():
            image = Image.open(file).convert("RGBa").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            facts.append({**fact, "style": "3d"})
            pictures.append(np.asarray(image))
    return facts, np.stack(pictures)


def emoji_caption(rng: random.Random, fact: dict, background: str) -> str:
    label, style = fact["label"], fact["style"]
    tags = [tag for tag in fact["tags"] if len(tag) > 2]
    plainly = f"{label}, {style} style"
    forms = [(0.12, label), (0.5, plainly), (0.68, f"{style} emoji of {label}"), (0.8, f"{label} emoji, {style}"),
             (0.9, f"{label}, {rng.choice(tags)}, {style} style" if tags else plainly),
             (1, f"{' '.join(rng.sample(tags, 2))}, {style} style" if len(tags) > 1 else plainly)]
    roll = rng.random()
    text = next(form for share, form in forms if roll <= share)
    shown = background != "white" or rng.random() < 0.15
    return f"{text}, {background} background" if shown else text


def emoji_row(rng: random.Random, number: int, fact: dict, first: bool) -> tuple[list[int], str]:
    """Picture, mirrored or not, size in per cent, shift, background; and the background's name."""
    background = "white" if rng.random() < 0.5 else rng.choice([*AVATARS["background"]])
    mirrored = int(fact["group"] in FLIPPED and rng.random() < 0.5)
    place = [100, 0, 0] if first else [rng.randint(84, 100), rng.randint(-5, 5), rng.randint(-5, 5)]
    return [number, mirrored, *place, *rgb(rng, "background", background)], background


class Pictures:
    """Draws rows of avatars and emoji as (n, 3, side, side) in −1 … 1."""

    def __init__(self, parts: np.ndarray, emoji: np.ndarray, device: str) -> None:
        self.parts = torch.from_numpy(parts).permute(0, 3, 1, 2).to(device)
        self.emoji = torch.from_numpy(emoji).permute(0, 3, 1, 2).to(device)

    def avatars(self, rows: Tensor) -> Tensor:
        colours = rows[:, len(PLACES):].float().view(-1, len(COLOURS), 3, 1, 1) / 255
        skin, shirt, hair, picture = colours.unbind(1)
        for number in [torch.zeros_like(rows[:, 0]), *rows[:, :len(PLACES)].unbind(1)]:  # the body first
            part = self.parts[number.clamp(min=0)].float() / 255 * (number >= 0).view(-1, 1, 1, 1)
            own, alpha, shares = part[:, :3], part[:, 3:4], part[:, 4:]
            tinted = own + shares[:, :1] * skin + shares[:, 1:2] * shirt + shares[:, 2:] * hair
            picture = tinted + (1 - alpha) * picture
        return picture.clamp(0, 1) * 2 - 1

    def drawn_emoji(self, rows: Tensor) -> Tensor:
        number, mirrored, size, right, down = rows[:, :5].unbind(1)
        scale, flip, none = 100 / size.float(), 1 - 2 * mirrored.float(), torch.zeros(len(rows), device=rows.device)
        shift = lambda pixels: -2 * pixels.float() / SIDE * scale
        grid = F.affine_grid(torch.stack([torch.stack([flip * scale, none, flip * shift(right)], 1),
                                          torch.stack([none, scale, shift(down)], 1)], 1), [len(rows), 4, SIDE, SIDE],
                             align_corners=False)
        moved = F.grid_sample(self.emoji[number].float() / 255, grid, align_corners=False)
        background = rows[:, 5:].float().view(-1, 3, 1, 1) / 255
        return (moved[:, :3] + (1 - moved[:, 3:]) * background).clamp(0, 1) * 2 - 1


# ---------------------------------------------------------------------------------------------------------- tokenizers


def clip_tokenizer(captions: list[str]) -> Tokenizer:
    """Byte pairs, as CLIP has them: lower case, words that end in `</w>`."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE(unk_token=end, end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(words, behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(captions, trainers.BpeTrainer(
        vocab_size=2048, special_tokens=[start, end], end_of_word_suffix="</w>", continuing_subword_prefix="",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(token, tokenizer.token_to_id(token)) for token in (start, end)])
    return padded(tokenizer, end)


def t5_tokenizer(captions: list[str]) -> Tokenizer:
    """Unigram pieces, as T5 has them, in lower case."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.train_from_iterator(captions, trainers.UnigramTrainer(
        vocab_size=2560, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", shrinking_factor=0.8,
        max_piece_length=16))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return padded(tokenizer, "<pad>")


def padded(tokenizer: Tokenizer, pad: str) -> Tokenizer:
    tokenizer.enable_truncation(LENGTH)  # the end token stays
    tokenizer.enable_padding(length=LENGTH, pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    return tokenizer


def token_ids(tokenizer: Tokenizer, captions: list[str]) -> np.ndarray:
    return np.array([encoding.ids for encoding in tokenizer.encode_batch(captions)], np.int16)


# ----------------------------------------------------------------------------------------------------------------- all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--avatars", type=int, default=64_000)
    parser.add_argument("--moved", type=int, default=8, help="rows of each emoji, with three captions each")
    parser.add_argument("--emoji", type=int, help="only the first of the list: to try it out")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", args.out,
                    *PACKAGES], check=True)
    modules, rng = args.out / "node_modules", random.Random(7)
    sources = part_sources(modules)
    places = {(kind, name): number for number, (kind, name, _) in enumerate(sources)}
    parts = np.stack([rendered_part(svg) for _, _, svg in sources])
    facts, pictures = emoji(modules, args.emoji)
    avatars = [avatar(rng) for _ in range(args.avatars)]
    held = [avatar(rng, wanted_held=True) for _ in range(256)]
    moved = [(number, *emoji_row(rng, number, fact, first=k == 0))
             for number, fact in enumerate(facts) for k in range(args.moved)]
    own = [caption for *_, caption in avatars]
    of_emoji = [emoji_caption(rng, facts[number], background) for number, _, background in moved for _ in range(3)]
    corpus = own + of_emoji + [tag for fact in facts for tag in fact["tags"]]
    clip, t5 = clip_tokenizer(corpus), t5_tokenizer(corpus)
    clip.save(str(args.out / "clip.json"))
    t5.save(str(args.out / "t5.json"))
    rows = lambda of: np.array([avatar_row(rng, *each[:2], places) for each in of], np.int16)
    three = lambda ids: ids.reshape(-1, 3, LENGTH)
    np.savez_compressed(
        args.out / "data.npz", parts=parts, emoji=pictures, avatar_rows=rows(avatars), held_rows=rows(held),
        emoji_rows=np.array([row for _, row, _ in moved], np.int16),
        avatar_clip=token_ids(clip, own), avatar_t5=token_ids(t5, own),
        held_clip=token_ids(clip, [each[2] for each in held]), held_t5=token_ids(t5, [each[2] for each in held]),
        emoji_clip=three(token_ids(clip, of_emoji)), emoji_t5=three(token_ids(t5, of_emoji)))
    print(f"{len(sources)} parts, {len(facts)} emoji, {len(own)} avatars, vocabularies of {clip.get_vocab_size()} and "
          f"{t5.get_vocab_size()} in {args.out}")


if __name__ == "__main__":
    main()
