"""Files of many images, for tests."""

import io
import json
import tarfile
import zipfile

import numpy as np
from PIL import Image


def encoded(number, size=24, format="PNG"):
    """An image with a content of its own."""
    pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def write_tar(path, files, **options):
    """A tar with these files: names and contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as tar:
        for name, content in dict(files).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_zip(path, files, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in dict(files).items():
            archive.writestr(name, content)
    return path


def samples(count, labels=("cat", "dog"), first=0, label="cls"):
    """Images with labels beside them, as WebDataset writes them."""
    for number in range(first, first + count):
        said = labels[number % len(labels)]
        yield f"{number:04d}.png", encoded(number)
        if label == "cls":
            yield f"{number:04d}.cls", str(said).encode()
        elif label == "json":
            yield f"{number:04d}.json", json.dumps({"about": {"species": said}}).encode()


def in_folders(count, classes=("cat", "dog"), root="", first=0):
    """Images in class folders."""
    for number in range(first, first + count):
        yield f"{root}{classes[number % len(classes)]}/{number:04d}.png", encoded(number)


def write_parquet(path, count, names=("cat", "dog"), first=0, rows=8):
    import pyarrow as arrow
    from pyarrow import parquet

    images = [{"bytes": encoded(n), "path": f"{n}.png"} for n in range(first, first + count)]
    labels = [n % len(names) for n in range(first, first + count)]
    features = {"label": {"names": list(names), "_type": "ClassLabel"}}
    stored = json.dumps({"info": {"features": features}})
    table = arrow.table({"image": images, "label": labels})
    table = table.replace_schema_metadata({"huggingface": stored})
    parquet.write_table(table, path, row_group_size=rows)
    return path


def listed(source):
    """The name, content and label of each image."""
    return [(source.image_name(row), *source[row]) for row in range(len(source))]
