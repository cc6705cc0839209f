"""The samples of a shard: an image, and the files of the same name beside it that label it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from kerascnn.engine.data.shards.labels import FIELD, FOLDER
from kerascnn.engine.data.shards.shard import ImageIn, Scan
from kerascnn.errors import InputError, did_you_mean
from kerascnn.runtime.image_files import has_image_suffix, system_kind

_FIELDS = ("label", "class", "cls", "class_name", "category", "target", "species")
_LABELS = {"cls", "json"}


class Member(NamedTuple):
    """A file in a shard; its content if it is an image or may be a label."""

    name: str
    offset: int
    length: int
    method: int
    content: bytes

    @property
    def key(self) -> str:
        """The sample that it belongs to: the name up to the first dot, as WebDataset has it."""
        path = PurePosixPath(self.name)
        return str(path.with_name(path.name.partition(".")[0] or path.name))

    @property
    def extension(self) -> str:
        return PurePosixPath(self.name).name.partition(".")[2].lower()


@dataclass
class Samples:
    """Finds the images and labels of a shard.

    Args:
        shard: Its name.
        label: "cls" (KEY.cls, a number or a name), "folder", "json:FIELD" (of KEY.json), or "auto",
            the first of these that the first sample has.
        image: The extension of the image where samples have several; default any.
    """

    shard: str
    label: str = "auto"
    image: str = ""
    ignored: Counter[str] = field(default_factory=Counter)

    def wants(self, name: str) -> bool:
        """Whether the content of a file is needed."""
        return has_image_suffix(name) or name.lower().endswith((".cls", ".json"))

    def scan(self, members: Iterable[Member]) -> Scan:
        groups = (list(group) for _, group in groupby(self._visible(members), lambda one: one.key))
        found = (sample for sample in map(self._sample, groups) if sample)
        first = next(found, None)
        labelled = self._labelled(first) if first else FOLDER
        samples = chain([first] if first else [], found)
        images = (image for sample in samples for image in self._images(sample, labelled))
        return Scan(labelled, images, self.ignored)

    def _visible(self, members: Iterable[Member]) -> Iterator[Member]:
        for member in members:
            kinds = filter(None, map(system_kind, PurePosixPath(member.name).parts))
            if kind := next(kinds, None):
                self.ignored[kind] += 1
            else:
                yield member

    def _sample(self, members: list[Member]) -> list[Member] | None:
        """The images and labels of a sample; none if it has no image."""
        for member in members:
            if not has_image_suffix(member.name) and member.extension not in _LABELS:
                suffix = PurePosixPath(member.name).suffix.lower()
                self.ignored[f"{suffix or 'suffixless'} files"] += 1
        return members if any(has_image_suffix(member.name) for member in members) else None

    def _labelled(self, sample: list[Member]) -> str:
        """How a sample, the first one, is labelled."""
        if self.label != "auto":
            return self.label
        files = {member.extension: member for member in sample}
        if "cls" in files:
            return "cls"
        table = self._table(files["json"]) if "json" in files else {}
        return next((f"{FIELD}{name}" for name in _FIELDS if name in table), FOLDER)

    def _images(self, sample: list[Member], labelled: str) -> Iterator[ImageIn]:
        if labelled == FOLDER:
            images = [member for member in sample if has_image_suffix(member.name)]
            label = str(PurePosixPath(sample[0].name).parent)
            label = "" if label == "." else label
        else:
            images, label = [self._image(sample)], self._label(sample, labelled)
        for image in images:
            name = image.name.removeprefix("./")
            yield ImageIn(name, label, image.offset, image.length, image.method, image.content)

    def _image(self, sample: list[Member]) -> Member:
        images = [member for member in sample if has_image_suffix(member.name)]
        wanted = self.image.lower().lstrip(".")
        plain = [one for one in images if one.extension.count(".") == 0] or images
        chosen = [one for one in images if one.extension == wanted] if wanted else plain
        if len(chosen) == 1:
            return chosen[0]
        said = ", ".join(member.name for member in images)
        raise InputError(
            f'the sample "{sample[0].key}" in "{self.shard}" has {len(chosen)} images '
            f"{f'ending in .{wanted}' if wanted else ''} ({said}); expected one. Set dataset.image "
            f'to its extension, such as "{images[0].extension}".'
        )

    def _label(self, sample: list[Member], labelled: str) -> str:
        extension = "cls" if labelled == "cls" else "json"
        file = next((member for member in sample if member.extension == extension), None)
        if file is None:
            key = sample[0].key
            raise InputError(
                f'the image "{key}" in "{self.shard}" has no label: expected "{key}.{extension}" '
                "directly before or after it. Add it, or set dataset.label to what labels all."
            )
        if extension == "json":
            return self._field(file, labelled.removeprefix(FIELD))
        text = file.content.decode("utf-8", "replace").strip()
        if not text or "\n" in text or "\ufffd" in text:
            raise InputError(
                f'"{self.shard}/{file.name}" must be a number or a class name in one line of '
                f"UTF-8, not {file.content[:40]!r}."
            )
        return text

    def _field(self, file: Member, name: str) -> str:
        value: Any = self._table(file)
        for part in name.split("."):
            table = value if isinstance(value, dict) else {}
            if part not in table:
                raise InputError(
                    f'"{self.shard}/{file.name}" has no field "{name}".'
                    f"{did_you_mean(part, table)} It has {', '.join(table) or 'none'}."
                )
            value = table[part]
        if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
            raise InputError(
                f'the field "{name}" of "{self.shard}/{file.name}" must be a number or a class '
                f"name, not {value!r:.60}."
            )
        return str(value).strip()

    def _table(self, file: Member) -> dict[str, Any]:
        try:
            table = json.loads(file.content)
        except ValueError as error:
            raise InputError(f'cannot read "{self.shard}/{file.name}": {error}.') from error
        return table if isinstance(table, dict) else {}
