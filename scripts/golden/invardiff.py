"""The published InvarDiff rule in short: change rates of features, masks of reuse, sampling under a mask.

A step's feature is the input of the model's last layer; a module's is its output, before the gate. Row t is a step in
inference order (0 = noisiest); True = reuse. Source: InvarDiff (arXiv 2512.05134) and its published code
(zihaowu25/InvarDiff, v1), whose rules for DiT and FLUX differ: see `Variant`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from compare import Report, load, read_json
from torch import Tensor, nn

EPSILON = 1e-8  # added to each signed difference
Masks = dict[str, Tensor]  # by kind: (T, columns); "step" has one column
Features = dict[str, list[list[Tensor]]]  # by kind, column and step


class Parts(NamedTuple):
    """Where a model is listened to: its last layer; modules with the kinds of their outputs and the column."""

    last: nn.Module
    modules: list[tuple[tuple[str, ...], int, nn.Module]]


class Variant(NamedTuple):
    """Where the published code for two models differs."""

    corrects_steps: bool  # in the second phase
    first_protects: bool  # the warm-up rows of modules in the first phase too


DIT = Variant(corrects_steps=True, first_protects=True)
FLUX = Variant(corrects_steps=False, first_protects=False)


@contextmanager
def recorded(parts: Parts) -> Iterator[Features]:
    """Gathers the features of the calls made within, each call a step of one run."""
    found: Features = {"step": [[]]}

    def listen(kinds: tuple[str, ...], column: int, module: nn.Module):
        for kind in kinds:
            found.setdefault(kind, []).append([])

        def keep(_module, _inputs, output) -> None:
            for kind, each in zip(kinds, output if len(kinds) > 1 else (output,), strict=True):
                found[kind][column].append(each)

        return module.register_forward_hook(keep)

    handles = [listen(*each) for each in parts.modules]
    handles.append(parts.last.register_forward_pre_hook(lambda _module, inputs: found["step"][0].append(inputs[0])))
    yield found
    for handle in handles:
        handle.remove()


@contextmanager
def reused(parts: Parts, masks: Masks) -> Iterator[None]:
    """Replaces features by the last stored ones where the masks say so. What is replaced is computed nevertheless."""
    stored: dict[object, object] = {}
    t = 0

    def swap(kinds: tuple[str, ...], column: int, module: nn.Module):
        def hook(_module, _inputs, output):
            if not masks["step"][t, 0] and not all(masks[kind][t, column] for kind in kinds):
                stored[module] = output
            return stored[module]

        return module.register_forward_hook(hook)

    def swap_step(_module, inputs):
        nonlocal t
        if not masks["step"][t, 0]:
            stored["step"] = inputs[0]
        t += 1
        return (stored["step"], *inputs[1:])

    handles = [swap(*each) for each in parts.modules]
    handles.append(parts.last.register_forward_pre_hook(swap_step))
    yield
    for handle in handles:
        handle.remove()


def rates(features: list[Tensor], mask: Tensor | None = None) -> list[float]:
    """Row t: how much larger the change after step t is than the one before it; 1 at both ends.

    With a mask the references stand still from the second reused row of a run on.
    """
    row = [1.0] * len(features)
    before, now, held = features[0], features[1], False
    for t, after in enumerate(features[2:], start=1):
        row[t] = (distance(after, now) / distance(now, before)).item()
        reuse = mask is not None and bool(mask[t])
        if not (reuse and held):
            before, now = now, after
        held = reuse
    return row


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b + EPSILON).abs().sum()


def mean_rates(runs: list[Features], masks: Masks | None = None) -> dict[str, Tensor]:
    """By kind: (T, columns), the mean over the runs."""

    def table(kind: str, run: Features) -> Tensor:
        columns = enumerate(run[kind])
        return torch.tensor([rates(each, None if masks is None else masks[kind][:, c]) for c, each in columns]).T

    return {kind: torch.stack([table(kind, run) for run in runs]).mean(0) for kind in runs[0]}


def below(table: Tensor, level: float, protected: int) -> tuple[Tensor, Tensor]:
    """The mask of the rates strictly below the quantile over all inner rows, and the threshold."""
    threshold = torch.quantile(table[1:-1].flatten(), level)
    mask = table < threshold
    mask[:protected] = False
    mask[-1] = False
    return mask, threshold


def couple(masks: Masks) -> None:
    """Reused steps reuse their modules; the step after a run of them is computed whole."""
    for t in masks["step"][:, 0].nonzero().flatten().tolist():
        for mask in (mask for kind, mask in masks.items() if kind != "step"):
            mask[t], mask[t + 1] = True, False  # row t + 1 exists: the last step is never reused


def book_masks(name: str) -> Masks:
    """The stored book, by kind."""
    book = read_json(f"books/{name}/cache_books.json")
    dual, single = book.get("transformer_cache_book"), book.get("single_transformer_cache_book")
    if dual is None:
        tables = {"attn": book["msa_cache_book"], "mlp": book["mlp_cache_book"]}
    else:
        tables = {kind: table for kind, table in dual.items() if kind != "ip_attn"}
        tables |= {f"single_{kind}": table for kind, table in single.items()}
    masks = {"step": torch.tensor(book["step_cache_book"])[:, None]}
    return masks | {kind: torch.tensor(table) for kind, table in tables.items()}


def check_rates(name: str, runs: list[Features], variant: Variant, report: Report) -> None:
    """Both phases of the calibration: rates, thresholds and the book, from the features of full runs."""
    facts, stored = read_json(f"books/{name}/golden.json"), load(f"books/{name}/rates.safetensors")
    levels = {"context_attn": facts["quantile"]["attn"], **facts["quantile"]}
    warm_up = max(1, int(facts["nonskip_rate"] * len(runs[0]["step"][0])))
    thresholds: dict[str, Tensor] = {}

    def choose(phase: str, tables: dict[str, Tensor], protected: int) -> Masks:
        masks = {}
        for kind, table in tables.items():
            report.add(f"{name} {phase}.{kind}_rate", table[1:-1].squeeze(1) if kind == "step" else table[1:-1],
                       stored[f"{phase}.{kind}_rate"])
            rows = warm_up if kind == "step" else protected
            masks[kind], thresholds[f"{phase}.{kind}"] = below(table, levels[kind], rows)
        return masks

    first = choose("phase1", mean_rates(runs), warm_up if variant.first_protects else 1)
    second = mean_rates(runs, first)
    if not variant.corrects_steps:
        del second["step"]
    final = {"step": first["step"], **choose("phase2", second, warm_up)}
    couple(final)
    wanted = facts["threshold"]
    report.add(f"{name} thresholds", torch.stack([thresholds[key] for key in wanted]), torch.tensor([*wanted.values()]))
    book = book_masks(name)
    report.add(f"{name} book", flat(final, book), flat(book, book))


def flat(masks: Masks, order: Masks) -> Tensor:
    return torch.cat([masks[kind].flatten() for kind in order])


def check_book(name: str, parts: Parts, *, variant: Variant, runs: list[Features], sample: Callable[[], Tensor],
               report: Report) -> None:
    """The stored calibration of this name, and the latents under its stored book."""
    check_rates(name, runs, variant, report)
    with reused(parts, book_masks(name)):
        latents = sample()
    report.add(f"{name} sample.cached", latents, load(f"books/{name}/cached.safetensors")["sample.cached"])
