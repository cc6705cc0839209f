"""Heat maps, kernels and feature maps as images for a page."""

from typing import Any

import numpy as np
from PIL import Image

from kerascnn.engine.network.explain.computed import feature_maps, first_kernels, kernel_images
from kerascnn.engine.network.explain.grad_cam import grad_cam, overlay
from kerascnn.results.page import data_uri

SIDE = 128  # pixels of a thumbnail
COLUMNS, ROWS, MAP_SIDE = 8, 2, 56  # of a sheet of feature maps
BLOCKS = 6  # with feature maps
KERNELS, KERNEL_SIDE = 64, 36


def heat_maps(model: Any, images: np.ndarray, classes: np.ndarray) -> list[str]:
    """Grad-CAM for the classes [N] over the images [N, S, S, 3], as data: URIs."""
    heats = grad_cam(model, images, classes)
    return [data_uri(overlay(*pair), SIDE) for pair in zip(images, heats, strict=True)]


def kernel_sheet(model: Any) -> tuple[str, tuple[int, ...]]:
    """The kernels of the first convolution, each scaled to its own range, and their shape."""
    kernels = first_kernels(model)  # [kh, kw, C_in, C_out]
    tiles = kernel_images(kernels[..., :KERNELS])
    pixel = max(1, KERNEL_SIDE // len(kernels))
    tiles = tiles.repeat(pixel, 1).repeat(pixel, 2)
    return data_uri(sheet(tiles, 16)), kernels.shape


def map_sheets(model: Any, image: np.ndarray, blocks: dict[str, str]) -> list[tuple[str, ...]]:
    """Feature maps of one image [S, S, 3] from some blocks: name, shape in words, data: URI.

    For each block, those that vary most over the image.
    """
    from matplotlib import colormaps

    chosen = np.unique(np.linspace(0, len(blocks) - 1, BLOCKS).round().astype(int))
    layers = {name: layer for i, (name, layer) in enumerate(blocks.items()) if i in chosen}
    maps = feature_maps(model, image, list(layers.values()))
    found: list[tuple[str, ...]] = []
    for name, layer in layers.items():
        height, width, channels = maps[layer].shape
        order = np.argsort(-maps[layer].std((0, 1)))[: COLUMNS * ROWS]
        tiles = np.stack([_map_tile(maps[layer][..., channel]) for channel in order])
        coloured = (255 * colormaps["viridis"](tiles)[..., :3]).astype(np.uint8)
        shape = f"{len(order)} of {channels:,} maps, {height} × {width}"
        found.append((name, shape, data_uri(sheet(coloured, COLUMNS))))
    return found


def _map_tile(values: np.ndarray) -> np.ndarray:
    """A feature map [h, w] scaled to 0 to 1 and resized to a tile."""
    scaled = (values - values.min()) / max(np.ptp(values), 1e-12)
    grows = values.shape[0] < MAP_SIDE
    how = Image.Resampling.NEAREST if grows else Image.Resampling.BOX
    image = Image.fromarray(scaled.astype(np.float32))
    return np.asarray(image.resize((MAP_SIDE, MAP_SIDE), how))


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """A square image uint8 [S, S, 3], resized to uint8 [side, side, 3]."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def sheet(tiles: np.ndarray, columns: int, gap: int = 3) -> np.ndarray:
    """Tiles uint8 [N, h, w, 3] in a grid on a transparent background: uint8 [H, W, 4]."""
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    whole = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        whole[top : top + height, left : left + width] = np.dstack(
            [tile, np.full((height, width), 255, np.uint8)]
        )
    return whole
