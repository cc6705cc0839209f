"""How images in shards are labelled."""

from pydantic import Field

from kerascnn.hookspecs import Params

FOLDER = "folder"
"""By the folder that each is in."""

FIELD = "json:"
"""What precedes the name of a field, as in "json:species"; dots lead into tables."""


class TarParams(Params):
    """How images in tar files are labelled."""

    label: str = Field(
        "auto",
        pattern=rf"^(auto|cls|{FOLDER}|{FIELD}.+)$",
        description='What labels an image KEY.jpg: "cls" (the text of KEY.cls, a number or a '
        'class name), "json:FIELD" (a field of KEY.json) or "folder" (the folder that it is in); '
        '"auto": the first of these that the first sample has.',
    )
    image: str = Field(
        "", description='The extension of the image where samples have several, such as "jpg".'
    )
