"""Makes or checks the pictures of tests/golden/pictures: one drawing as PNG, JPEG and WebP of many kinds, and what
Pillow reads from them and resizes them to, as PNG.

    python3 scripts/golden/pictures.py make     writes the files anew
    python3 scripts/golden/pictures.py check    reads and resizes again, and compares every byte of pixels

Made with Pillow 13.0.0.
"""

import pathlib
import sys

import numpy
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/pictures"
SIZES = {"smaller": (20, 31), "larger": (97, 50), "wider": (64, 36), "one": (1, 1)}


def drawing():
    """Slopes and an edge, 48 × 36."""
    y, x = numpy.mgrid[0:36, 0:48]
    planes = [x * 5, y * 7, (x + y) * 3]
    pixels = numpy.stack(planes, axis=-1) % 256
    pixels[10:20, 15:30] = [250, 20, 90]
    return Image.fromarray(pixels.astype("uint8"))


def mask():
    """A white disc with a soft edge on black, of the size of the drawing."""
    y, x = numpy.mgrid[0:36, 0:48]
    levels = (13 - numpy.hypot(x - 26, y - 16)) * 40 + 128
    return Image.fromarray(levels.clip(0, 255).astype("uint8"))


def files(source):
    """By name: how a file is written, and of which picture."""
    turned = Image.Exif()
    turned[0x112] = 6  # a quarter turn to the right
    seen = source.convert("RGBA")
    alpha = numpy.linspace(0, 255, 48).astype("uint8")
    seen.putalpha(Image.fromarray(numpy.tile(alpha, (36, 1))))
    return {
        "source.png": (source, {}),
        "mask.png": (mask(), {}),
        "alpha.png": (seen, {}),
        "palette.png": (source.quantize(17), {}),
        "bits.png": (source.convert("1"), {}),
        "plain.jpg": (source, {"quality": 92}),
        "progressive.jpg": (source, {"quality": 92, "progressive": True}),
        "grey.jpg": (source.convert("L"), {"quality": 92}),
        "turned.jpg": (source, {"quality": 92, "exif": turned}),
        "cmyk.jpg": (source.convert("CMYK"), {}),
        "lossless.webp": (source, {"lossless": True}),
        "lossy.webp": (source, {"quality": 90}),
        "alpha.webp": (seen, {"lossless": True, "exact": True}),
        "animated.webp": (source, {"save_all": True, "append_images": [source.rotate(180)]}),
    }


def results():
    """What Pillow makes of the files, by the name of a PNG."""
    made = {}
    for name in ["palette.png", "bits.png", "plain.jpg", "progressive.jpg", "grey.jpg", "turned.jpg", "lossy.webp"]:
        upright = ImageOps.exif_transpose(Image.open(FOLDER / name))
        made[f"read/{name}.png"] = upright.convert("L" if upright.mode in ("1", "L") else "RGB")
    source = Image.open(FOLDER / "source.png")
    for name, size in SIZES.items():
        made[f"resized/{name}.png"] = source.resize(size, Image.LANCZOS)
    made["resized/grey.png"] = source.convert("L").resize((31, 17), Image.LANCZOS)
    return made


def make():
    for folder in ["read", "resized"]:
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    for name, (picture, options) in files(drawing()).items():
        picture.save(FOLDER / name, **options)
    for name, picture in results().items():
        picture.save(FOLDER / name)


def check():
    for name, picture in results().items():
        stored = Image.open(FOLDER / name)
        same = picture.size == stored.size and picture.tobytes() == stored.tobytes()
        print(f"{name}: {'ok' if same else 'MISSED'}")
        if not same:
            sys.exit(f"{name} is not what is stored")


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) == 2 else ""
    if mode not in ("make", "check"):
        sys.exit("usage: pictures.py make|check")
    make() if mode == "make" else check()
