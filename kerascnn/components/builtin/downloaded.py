"""Well-known datasets, downloaded from their publishers and verified."""

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from kerascnn import Component, InputError, Params, SplitParams, Splits, image_files
from kerascnn.components.builtin.image_folder import ImageFolderParams, build_image_folder

TF_FLOWERS_URL = "https://download.tensorflow.org/example_images/flower_photos.tgz"
TF_FLOWERS_SHA256 = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"

# The checksums that TensorFlow Datasets publishes.
OXFORD_URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
OXFORD_SHA256 = {
    "102flowers.tgz": "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
    "imagelabels.mat": "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
    "setid.mat": "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
}
OXFORD_NAMES = """
    pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold,
    tiger lily, moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot,
    king protea, spear thistle, yellow iris, globe-flower, purple coneflower, peruvian lily,
    balloon flower, giant white arum lily, fire lily, pincushion flower, fritillary, red ginger,
    grape hyacinth, corn poppy, prince of wales feathers, stemless gentian, artichoke,
    sweet william, carnation, garden phlox, love in the mist, mexican aster, alpine sea holly,
    ruby-lipped cattleya, cape flower, great masterwort, siam tulip, lenten rose, barbeton daisy,
    daffodil, sword lily, poinsettia, bolero deep blue, wallflower, marigold, buttercup,
    oxeye daisy, common dandelion, petunia, wild pansy, primula, sunflower, pelargonium,
    bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow dahlia, cautleya spicata,
    japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum,
    spring crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose,
    thorn apple, morning glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis,
    hibiscus, columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress, canna lily,
    hippeastrum, bee balm, ball moss, foxglove, bougainvillea, camellia, mallow, mexican petunia,
    bromelia, blanket flower, trumpet creeper, blackberry lily
    """

KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz"


class KerasFile(NamedTuple):
    url: str
    name: str  # in KERAS_HOME/datasets, where a Keras loader expects it
    hashes: dict[str, str]


# Keras's own hashes. It has none for Fashion-MNIST, and would accept a partial file; the MD5s are
# from the publisher, github.com/zalandoresearch/fashion-mnist.
KERAS_FILES = {
    "mnist": [
        KerasFile(
            f"{KERAS_URL}/mnist.npz",
            "mnist.npz",
            {"sha256": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"},
        )
    ],
    "fashion_mnist": [
        KerasFile(f"{KERAS_URL}/{name}", f"fashion-mnist/{name}", {"md5": md5})
        for name, md5 in {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        }.items()
    ],
    "cifar10": [
        KerasFile(
            f"{CIFAR_URL}/cifar-10-python.tar.gz",
            "cifar-10-batches-py-target_archive",
            {"sha256": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
        )
    ],
    "cifar100": [
        KerasFile(
            f"{CIFAR_URL}/cifar-100-python.tar.gz",
            "cifar-100-python-target_archive",
            {"sha256": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"},
        )
    ],
}
KERAS_NAMES = {
    "mnist": "0 1 2 3 4 5 6 7 8 9",
    "fashion_mnist": "t-shirt trouser pullover dress coat sandal shirt sneaker bag ankle_boot",
    "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
    "cifar100": """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """,
}

FOLDER = Field(
    None, description="Folder of the downloaded files; default in the user's cache folder."
)


class TfFlowersParams(SplitParams):
    """The flower photographs of the TensorFlow tutorials, split by content."""

    folder: Path | None = FOLDER


class OxfordFlowersParams(Params):
    """The Oxford flowers, with their official splits."""

    folder: Path | None = FOLDER


class KerasDatasetParams(Params):
    """A dataset that Keras can load."""

    dataset: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"] = Field(
        description="The dataset. Its files are kept where Keras keeps them: ~/.keras/datasets, or "
        "KERAS_HOME/datasets."
    )
    validation_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the training images used for validation."
    )
    split_seed: int = Field(
        0, ge=0, description="Draws the validation images, independently of the experiment's seed."
    )
    limit: int | None = Field(
        None,
        ge=1,
        description="Maximum number of images per split, drawn at random, for quick trials.",
    )


def build_tf_flowers(params: TfFlowersParams, *, seed: int) -> Splits:
    from kerascnn import fetch

    folder = fetch(TF_FLOWERS_URL, sha256=TF_FLOWERS_SHA256, folder=params.folder, unpack=True)
    split = params.model_dump(exclude={"folder"})
    return build_image_folder(ImageFolderParams(path=folder / "flower_photos", **split), seed=seed)


def build_oxford_flowers102(params: OxfordFlowersParams, *, seed: int) -> Splits:
    from scipy.io import loadmat

    from kerascnn import fetch

    def get(name: str, unpack: bool = False) -> Path:
        sha256, url = OXFORD_SHA256[name], f"{OXFORD_URL}/{name}"
        return fetch(url, sha256=sha256, folder=params.folder, unpack=unpack)

    labels = loadmat(get("imagelabels.mat"))["labels"].ravel()  # 1 to 102, of images 1 to 8,189
    numbers = loadmat(get("setid.mat"))
    root = get("102flowers.tgz", unpack=True).resolve()

    def source(key: str) -> Any:
        paths = {n: root / "jpg" / f"image_{n:05d}.jpg" for n in numbers[key].ravel().tolist()}
        return image_files(root, [(path, int(labels[n - 1]) - 1) for n, path in paths.items()])

    class_names = [name.strip() for name in OXFORD_NAMES.split(",")]
    return Splits(source("trnid"), source("valid"), source("tstid"), class_names)


class ImageArrays:
    def __init__(self, images: Any, labels: Any, chosen: Any) -> None:
        from numpy import ascontiguousarray

        self.images = images = ascontiguousarray(images[chosen])  # uint8 [N, H, W] or [N, H, W, 3]
        self.labels = labels = labels.ravel()[chosen]  # [N]
        digest = hashlib.sha256(f"{images.shape}".encode())
        digest.update(images)
        digest.update(labels.astype("<i8"))
        self.fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        return self.images[index], int(self.labels[index])


def build_keras_dataset(params: KerasDatasetParams, *, seed: int) -> Splits:
    import numpy as np

    (images, labels), (test_images, test_labels) = _load_with_keras(params.dataset)
    rng = np.random.default_rng(params.split_seed)
    order = rng.permutation(len(images))
    start = len(images) - max(1, round(len(images) * params.validation_fraction))
    return Splits(
        ImageArrays(images, labels, order[:start][: params.limit]),
        ImageArrays(images, labels, order[start:][: params.limit]),
        ImageArrays(test_images, test_labels, rng.permutation(len(test_images))[: params.limit]),
        KERAS_NAMES[params.dataset].split(),
    )


def _load_with_keras(dataset: str) -> Any:
    """Fetches the files first, as Keras's own download is neither resumable nor atomic."""
    from keras import datasets

    from kerascnn import fetch

    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    for file in KERAS_FILES[dataset]:
        path = home / "datasets" / file.name
        fetch(file.url, folder=path.parent, name=path.name, **file.hashes)
    try:
        return getattr(datasets, dataset).load_data()
    except Exception as error:  # Keras raises bare ones
        raise InputError(f'Keras cannot load {dataset} from "{home}": {error}.') from error


TF_FLOWERS = Component(
    "tf_flowers",
    build_tf_flowers,
    TfFlowersParams,
    "3,670 photographs of daisies, dandelions, roses, sunflowers and tulips (229 MB)",
)
OXFORD_FLOWERS102 = Component(
    "oxford_flowers102",
    build_oxford_flowers102,
    OxfordFlowersParams,
    "8,189 photographs of 102 kinds of flowers, in the official splits (345 MB)",
)
KERAS_DATASETS = Component(
    "keras_datasets",
    build_keras_dataset,
    KerasDatasetParams,
    "MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100",
)
