"""Corrected labels: a table of images and labels that a person has edited, `dataset.corrections`.

Labels are corrected after the dataset has drawn its splits, so an image never changes its split.
"""

import codecs
import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kerascnn.engine.data.hygiene.copies import Place
from kerascnn.engine.data.store.packed import Packed
from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.text import SHOWN, itemized, nfc

PATH, LABEL, GIVEN = "path", "label", "given"
_SEPARATORS = (",", ";", "\t")  # as spreadsheets write them
_HASH_DIGITS = 16


class Correction(NamedTuple):
    """A row of the table that changes a label.

    Args:
        line: Its line in the file, from 1.
        path: Of the image, or the first digits of its hash; see `image_names`.
        label: The right class; "" to leave the image out.
        given: The label of the dataset; "" if the table does not say.
    """

    line: int
    path: str
    label: str
    given: str


@dataclass(frozen=True)
class Corrections:
    """A table of corrected labels."""

    file: Path
    rows: Sequence[Correction]


def read_corrections(file: Path) -> Corrections:
    """Reads a table with the columns `path` and `label`; others are ignored.

    If it has the column `given`, the label of the dataset, only rows with another `label` count.

    Raises:
        InputError: It cannot be read, or lacks a column.
    """
    try:
        content = file.read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if wide else "utf-8-sig", "surrogatepass")
        separator = max(_SEPARATORS, key=text.partition("\n")[0].count)
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        if lacking := {PATH, LABEL}.difference(table.fieldnames or ()):
            raise InputError(
                f'"{file}" has no column "{min(lacking)}"; dataset.corrections needs a CSV file '
                "with the columns path and label, as `check --labels` writes it."
            )
        return Corrections(file, list(_corrections(table)))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f'cannot read dataset.corrections, "{file}": {error}.') from error


def _corrections(table: "csv.DictReader[str]") -> Iterator[Correction]:
    for row in table:
        path, label = ((row[name] or "").strip() for name in (PATH, LABEL))
        given = row.get(GIVEN)
        if path and (given is None or nfc(given.strip()) != nfc(label)):
            yield Correction(table.line_num, path, nfc(label), (given or "").strip())


def corrected(
    splits: Mapping[str, Packed], class_names: Sequence[str], corrections: Corrections
) -> dict[str, Packed]:
    """The splits with corrected labels, and without the images that have none any more.

    Raises:
        InputError: One message with every image or class that the dataset does not have, and every
            image with two different corrections.
    """
    labels = _labels(splits, class_names, corrections)
    index = {name: number for number, name in enumerate(class_names)}
    made = dict[str, Packed]()
    for split, packed in splits.items():
        changed = {row: label for (of, row), label in labels.items() if of == split}
        values = packed.labels.copy()
        for row, label in changed.items():
            values[row] = index.get(label, values[row])
        out = sorted(row for row, label in changed.items() if not label)
        reasons = [f"{packed.name(row)}: has no label in {corrections.file}" for row in out]
        made[split] = packed.relabelled(values)
        made[split] = made[split].without(out, reasons) if out else made[split]
    return made


def _labels(
    splits: Mapping[str, Packed], class_names: Sequence[str], corrections: Corrections
) -> dict[Place, str]:
    """The corrected label of each image, by split and row."""
    places, found, faults = _Places(splits), dict[Place, str](), list[str]()
    for line, path, label, _ in corrections.rows:
        here = places.of(path)
        fault = "" if label in ("", *class_names) else _no_class(label, class_names)
        fault = fault or places.fault(path, here, hint=len(faults) < SHOWN)
        if not fault and any(found.setdefault(place, label) != label for place in here):
            fault = f'"{path}" has another label in an earlier line'
        if fault:
            faults.append(f"line {line}: {fault}")
    if faults:
        headline = f'{{}} cannot be applied in "{corrections.file}" (dataset.corrections)'
        raise InputError(
            f"{itemized(headline, faults, len(faults), noun='line')}\nEach needs the path of an "
            f"image of the dataset and one of its classes: {', '.join(class_names)}."
        )
    return found


def _no_class(label: str, class_names: Sequence[str]) -> str:
    return f'no class "{label}".{did_you_mean(label, class_names)}'


class _Places:
    """Finds images by their path in a table, by the end of their path, or by hash."""

    def __init__(self, splits: Mapping[str, Packed]) -> None:
        names = {split: image_names(packed) for split, packed in splits.items()}
        every = [(split, row) for split, of in names.items() for row in range(len(of))]
        self._paths = [nfc(path) for path in table_paths([n for of in names.values() for n in of])]
        self._exactly, self._ends = defaultdict[str, list[Place]](list), defaultdict(list)
        whole = (nfc(names[split][row]) for split, row in every)
        for place, path, name in zip(every, self._paths, whole, strict=True):
            self._exactly[path].append(place)
            self._ends[_parts(name)[-1]].append((_parts(name), place))

    def of(self, path: str) -> list[Place]:
        """The images that a path stands for; several share a hash if they are copies."""
        if nfc(path) in self._exactly:
            return self._exactly[nfc(path)]
        parts = _parts(path)
        ends = self._ends.get(parts[-1], []) if parts else []
        return [place for whole, place in ends if whole[-len(parts) :] == parts]

    def fault(self, path: str, found: Sequence[Place], *, hint: bool) -> str:
        if len(found) > 1 and nfc(path) not in self._exactly:
            return f'"{path}" could be {len(found)} images; write more of the path'
        if found:
            return ""
        return f'no image "{path}".{did_you_mean(path, self._paths) if hint else ""}'


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(nfc(path).replace("\\", "/")).parts


def image_names(packed: Packed) -> list[str]:
    """The path of each image; of one without, the first digits of the hash of its content."""
    hashes = [content[: _HASH_DIGITS // 2].tobytes().hex() for content in packed.contents]
    return [
        packed.name(row) if is_file else hashed
        for row, (is_file, hashed) in enumerate(zip(packed.files, hashes, strict=True))
    ]


def table_paths(names: Sequence[str]) -> list[str]:
    """Names of images for a table: paths without the folders that all have in common."""
    parts = [PurePosixPath(Path(name).as_posix()).parts for name in names]
    paths = [one[:-1] for one in parts if len(one) > 1]
    common = 0
    if paths:
        least, greatest = min(paths), max(paths)
        pairs = list(zip(least, greatest, strict=False))
        common = next((at for at, (a, b) in enumerate(pairs) if a != b), len(pairs))
    return ["/".join(one[common:]) if len(one) > 1 else one[0] for one in parts]
