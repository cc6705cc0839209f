"""Tar shards in S3, Google Cloud Storage or on a web server, for `kerascnn`."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from kerascnn import Component, SplitParams, Splits, TarParams, hookimpl

SCHEMES = ("s3", "gs", "https", "http")


def _address(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme in SCHEMES and separator and rest.strip("/"):
        return url
    raise ValueError(
        f"expected an address that starts with {', '.join(SCHEMES[:3])}://, not {url!r}"
    )


Address = Annotated[str, AfterValidator(_address)]
Addresses = Address | tuple[Address, ...]


class RemoteShardsParams(SplitParams, TarParams):
    """Tar files of images that are elsewhere."""

    url: Addresses = Field(
        description="Where the training images are: an address or a pattern such as "
        '"s3://bucket/train-{000..099}.tar", with * in s3:// and gs://, a folder that ends in "/", '
        "or an array of these. If names say train, val or test, they give the splits; otherwise "
        "validation and test are drawn from all."
    )
    validation: Addresses | None = Field(
        None, description="Where the validation images are; default by names, or drawn."
    )
    test: Addresses | None = Field(None, description="Where the test images are, in the same way.")
    class_names: Path | None = Field(
        None,
        description="A text file on this machine with a class name in each line, which labels that "
        "are numbers stand for, from 0.",
    )
    anonymous: bool = Field(
        False, description="Whether s3:// and gs:// are read without credentials, as public data."
    )
    connections: int = Field(
        8, ge=1, le=64, description="Parts of a shard that are fetched at once."
    )
    timeout_seconds: float = Field(
        30.0, gt=0, description="How long to wait for a server that sends nothing."
    )


def build_remote_shards(params: RemoteShardsParams, *, seed: int) -> Splits:
    from kerascnn_remote.listing import remote_splits

    return remote_splits(params)


def check(params: RemoteShardsParams, *, image_size: int) -> dict[str, str]:
    """Faults that can be seen without the network: {key: fault}."""
    if params.class_names and not params.class_names.expanduser().is_file():
        return {"class_names": f"no such file ({params.class_names})"}
    return {}


@hookimpl
def kerascnn_datasets() -> list[Component]:
    return [
        Component(
            "remote_shards",
            build_remote_shards,
            RemoteShardsParams,
            "tar shards in S3, Google Cloud Storage or on a web server",
            check,
        )
    ]
