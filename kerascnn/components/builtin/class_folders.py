"""Images in class folders, with or without split folders, and the other files among them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kerascnn import (
    KERASCNN_OUTPUT,
    InputError,
    command,
    counted,
    did_you_mean,
    has_image_suffix,
    ignored_kind,
    nfc,
    split_named,
)

Labelled = tuple[Path, str]  # the path and the class name of an image

FOLLOWED = (
    "is followed only with `follow_links = true` (--set dataset.follow_links=true; for init, "
    "--follow-links)"
)
TABLE_SUFFIXES = {".csv", ".tsv"}
LAYOUT = (
    "Expected one folder of images per class, or the folders train, validation and test with such "
    "class folders in them, or a table of images and labels that `labels` names."
)


@dataclass
class Folders:
    """Reads the folders of a dataset, each once.

    Args:
        follow: Whether links to folders are followed; otherwise each is an error.
        ignored: What else was found, and how often.
    """

    follow: bool
    ignored: Counter[str] = field(default_factory=Counter)
    _entries: dict[Path, list[Path]] = field(default_factory=dict)
    _outputs: set[Path] = field(default_factory=set)

    def read(self, root: Path) -> dict[str, list[Labelled]]:
        """The images of each split, or all under "train" if there are no split folders."""
        folders = self.folders(root)
        splits = {folder: self._split_of(folder) for folder in folders}
        given = [split for split in splits.values() if split]
        if not given:
            self._check_layout(root)
            return {"train": self._read_classes(root)}
        if len(given) < len(splits) or len(set(given)) < len(given) or "train" not in given:
            self._check_unlabelled(root)
            names = ", ".join(folder.name for folder in folders)
            raise InputError(f'cannot tell splits from classes in "{root}": {names}. {LAYOUT}')
        return {split: self._read_classes(folder) for folder, split in splits.items() if split}

    def entries(self, folder: Path) -> list[Path]:
        """The visible files and folders by name, without those that are never part of a dataset."""
        if folder not in self._entries:
            found = []
            for path in entries_of(folder):
                if what := ignored_kind(path):
                    self.ignored[what] += 1
                    self._outputs |= {path} if what == KERASCNN_OUTPUT else set()
                elif not path.name.startswith("."):
                    found.append(path)
            self._entries[folder] = found
        return self._entries[folder]

    def folders(self, folder: Path) -> list[Path]:
        found = filter(self._is_folder, self.entries(folder))
        return [path for path in found if not self._holds_only_output(path)]

    def images(self, folder: Path) -> list[Path]:
        return [path for path in self.entries(folder) if has_image_suffix(path)]

    def walk(self, folder: Path) -> Iterator[Path]:
        """The images in a folder, at any depth."""
        for path in self.entries(folder):
            if has_image_suffix(path):
                yield path  # or something else with such a name, which is reported when it is read
            elif self._is_folder(path):
                yield from self.walk(path)
            else:
                self.ignored[f"{path.suffix.lower() or 'suffixless'} files"] += 1

    def _holds_only_output(self, folder: Path) -> bool:
        """Whether a folder has output but no images, such as MLflow's database and artifacts."""
        self.entries(folder)
        written = any(path.parent == folder for path in self._outputs)
        return written and not any(Folders(self.follow).walk(folder))

    def doubled(self, root: Path) -> str:
        """A hint for a folder with only the folder of the dataset in it, as zip files unpack."""
        inner = root
        while len(folders := self.folders(inner)) == 1 and not self.images(inner):
            inner = folders[0]
        if inner == root or self.images(inner) or not folders:
            return ""
        names = ", ".join(folder.name for folder in folders[:5])
        return f' If {names} are the classes or splits, use "{inner}" instead of "{root}".'

    def _split_of(self, folder: Path) -> str | None:
        """A folder with images directly in it is a class: "train" may be a class of vehicles."""
        return None if self.images(folder) else split_named(folder.name)

    def _read_classes(self, folder: Path) -> list[Labelled]:
        loose, classes = len(self.images(folder)), self.folders(folder)
        if not classes:
            raise InputError(
                f'"{folder}" has {counted(loose)} but no class folders.'
                f"{tables_in(folder) or f' {LAYOUT}'}"
            )
        _check_forms(folder, classes)
        labelled = []
        for class_folder in classes:
            name = nfc(class_folder.name)
            labelled += [(path, name) for path in self._read_class(class_folder)]
        if loose:
            self.ignored["images outside of the class folders"] += loose
        return labelled

    def _read_class(self, folder: Path) -> list[Path]:
        before = Counter(self.ignored)
        images = list(self.walk(folder))
        others = self.ignored - before
        if not images:
            counts = ", ".join(f"{count:,} {what}" for what, count in others.most_common())
            there = f" (only {counts})" if others else ""
            raise InputError(
                f'the class folder "{folder}" has no images{there}. Expected .jpg, .png, .webp, '
                ".tif or .heic files; convert the files, or remove the folder."
            )
        return images

    def _check_layout(self, root: Path) -> None:
        """Raises InputError if there are only split folders, with images directly in them."""
        names = [folder.name for folder in self.folders(root)]
        if len(names) > 1 and all(split_named(name) for name in names):
            raise InputError(
                f'the folders {", ".join(names)} of "{root}" have images but no class folders, so '
                f"the classes are unknown.{tables_in(root) or f' {LAYOUT}'}"
            )

    def _check_unlabelled(self, root: Path) -> None:
        """Raises InputError, with a remedy, for unlabelled test images next to labelled ones."""
        flat = [folder for folder in self.folders(root) if self.images(folder)]
        train = [folder for folder in self.folders(root) if self._split_of(folder) == "train"]
        if len(train) == 1 and flat and all(split_named(f.name) for f in flat):
            raise InputError(
                f'the images in "{flat[0]}" are not in class folders: they can be predicted, but '
                f'not used for testing. Use "{train[0]}" instead of "{root}": validation and test '
                "images are drawn from it."
            )

    def _is_folder(self, path: Path) -> bool:
        if path.is_symlink() and path.is_dir():
            if not self.follow:
                raise InputError(f'"{path}" is a link to a folder, which {FOLLOWED}.')
            if any(path.samefile(parent) for parent in path.parents):
                raise InputError(f'"{path}" is a link to a folder that contains it: remove it.')
        return path.is_dir()


def entries_of(folder: Path) -> list[Path]:
    """All files and folders in a folder, by name; none if there is no such folder."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f'cannot read the folder "{folder}": {error}.') from error


def near(name: str, candidates: Iterable[str]) -> str:
    return did_you_mean(name, set(candidates) - {name})


def tables_in(folder: Path) -> str:
    """A hint for a folder with tables but no class folders."""
    named = [path.name for path in entries_of(folder) if path.suffix.lower() in TABLE_SUFFIXES]
    tables = [name for name in named if "submission" not in name.lower()]
    if not tables:
        return ""
    init = command("init", str(folder), "--labels", tables[0])
    return f' If "{tables[0]}" contains the labels, set dataset.labels, or run `{init}`.'


def _check_forms(folder: Path, classes: Iterable[Path]) -> None:
    """Raises InputError if two folders have the same name in different Unicode forms."""
    seen: dict[str, str] = {}
    for path in classes:
        other = seen.setdefault(nfc(path.name), path.name)
        if other != path.name:
            raise InputError(
                f'"{folder}" has two class folders that look the same, {other!a} and '
                f"{path.name!a}: only one is in Unicode form NFC. Move the images of one into the "
                "other."
            )
