"""The check that a network is a function of one image, as cached activations require."""

from typing import TYPE_CHECKING

from kerascnn.hookspecs import Network
from kerascnn.testing.checks import check
from kerascnn.testing.predictions import CLOSE, same

if TYPE_CHECKING:
    from kerascnn.testing.architecture_subject import ArchitectureSubject


@check(Network)
def each_image_by_itself(subject: "ArchitectureSubject") -> None:
    """In inference mode the probabilities of an image are the same in every call, whatever the
    other images of the batch are: activations are computed once for each image."""
    images = subject.images
    again, among_others = images.copy(), 255 - images
    among_others[0] = images[0]
    for batch, when in ((again, "in a second call"), (among_others, "among other images")):
        same(subject.predict(batch)[:1], subject.predictions[:1], when, CLOSE)
