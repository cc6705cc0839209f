"""Draws the flowers of `flowers`: blades as lit surfaces in space, and a scene around them.

Every part of a plant is a blade: a strip, bent along its midrib and cupped across it. Blades are
drawn as quadrilaterals from back to front, at twice the size, and scaled down. Coordinates:
x right, y up, z towards the viewer, in picture widths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from kerascnn.builtin.flowers import (
    BLUE,
    BROWN,
    CREAM,
    DISTRACTOR,
    GREEN,
    LEAF,
    PINK,
    WHITE,
    YELLOW,
    Colour,
    Pair,
    Species,
    Whorl,
)

GOLDEN_ANGLE = np.pi * (3 - 5**0.5)  # H. Vogel, A better way to construct the sunflower head, 1979
SUPERSAMPLING = 2
MOST_FACES = 600  # of one whorl: beyond it the eye sees no gain


def render(species: Species, size: int, rng: Generator) -> np.ndarray:
    """Renders one picture of a species.

    Args:
        species: What to draw.
        size: Height and width S in pixels.
        rng: Decides everything else.

    Returns:
        uint8 [S, S, 3].
    """
    light = _draw_light(rng)
    blossoms = _place(species, rng)
    kind = BACKDROPS[rng.integers(len(BACKDROPS))]
    backdrop = _backdrop(kind, size // 2, light, rng)
    if kind.near:
        backdrop = _cast_shadows(backdrop, blossoms, light, rng)
    canvas = backdrop.resize((size * SUPERSAMPLING,) * 2, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    for x, y, radius in blossoms:
        _draw_plant(draw, species, np.array([x, y]), radius, light, rng)
    if rng.random() < 0.5:
        _draw_grass(draw, int(rng.integers(2, 10)), rng.uniform(0.2, 0.7), rng)
    return _photograph(_foreground(canvas.reduce(SUPERSAMPLING), rng), light, rng)


# --- Light ---


@dataclass(frozen=True)
class Light:
    direction: np.ndarray  # [3], towards the light
    gain: np.ndarray  # [3], its colour
    ambient: float


def _draw_light(rng: Generator) -> Light:
    direction = np.array([rng.uniform(-1, 1), rng.uniform(0.1, 1), rng.uniform(0.4, 1.2)])
    warmth, tint = rng.normal(0, 0.09), rng.normal(0, 0.03)
    gain = rng.uniform(0.85, 1.25) * np.array([1 + warmth, 1 + tint, 1 - warmth])
    return Light(direction / np.linalg.norm(direction), gain, rng.uniform(0.35, 0.7))


# --- Blades ---


def _between(pair: Pair, weight: np.ndarray) -> np.ndarray:
    return pair[0] + (pair[1] - pair[0]) * weight


def _grid(whorl: Whorl, pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions along a blade (0 to 1) and across it (-1 to 1), as fine as its size asks for."""
    rows = np.clip(2 + max(whorl.length) * pixels / 8, 2, 14)
    columns = np.clip(max(whorl.width) * pixels / 3, 1, 10)
    thrift = min(1.0, (MOST_FACES / (whorl.count * rows * columns)) ** 0.5)
    rows, columns = max(2, round(rows * thrift)), max(1, round(columns * thrift))
    if whorl.teeth[0]:
        rows, columns = max(rows, int(4 * whorl.teeth[0])), 2
    along = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, rows + 1))  # dense where outlines bend
    return along, np.linspace(-1, 1, columns + 1)  # [T], [S]


def _half_width(whorl: Whorl, along: np.ndarray) -> np.ndarray:
    a, b = whorl.outline
    peak = (a / (a + b)) ** a * (b / (a + b)) ** b
    teeth, depth = whorl.teeth
    return along**a * (1 - along) ** b / peak * (1 - depth * (-along * teeth % 1))  # [T]


def _inwardness(whorl: Whorl) -> np.ndarray:
    """From 0 for the outermost blade to 1 for the innermost, [P]."""
    index = np.arange(whorl.count)
    if whorl.rings > 1:
        return index * whorl.rings // whorl.count / (whorl.rings - 1)
    return (index + 0.5) / whorl.count


def _azimuths(whorl: Whorl) -> np.ndarray:
    """Directions of the blades around the axis in radians, [P]; rings alternate."""
    index = np.arange(whorl.count)
    if not whorl.rings:
        return index * GOLDEN_ANGLE
    per_ring = whorl.count // whorl.rings
    return (index + index // per_ring / 2) * 2 * np.pi / per_ring


def _surface(whorl: Whorl, along: np.ndarray, across: np.ndarray, rng: Generator) -> np.ndarray:
    """The blades' vertices in the frame of their axis, [P, T, S, 3]."""
    n, inner = whorl.count, _inwardness(whorl)
    wobble = rng.uniform(-1, 1, (4, n)) * whorl.jitter  # [4, P]
    azimuth = _azimuths(whorl) + wobble[0] * 2 * np.pi / n
    length = _between(whorl.length, inner) * (1 + wobble[1])
    width = _between(whorl.width, inner) * (1 + wobble[2])
    base, tip = _between(whorl.base_pitch, inner), _between(whorl.tip_pitch, inner)
    pitch = np.radians(base[:, None] + (tip - base)[:, None] * along + 60 * wobble[3][:, None])
    steps = np.diff(along, prepend=0) * length[:, None]  # [P, T]
    start = _between(whorl.start, 1 - np.sqrt(1 - inner))  # equal area for every floret
    radius = start[:, None] + np.cumsum(steps * np.cos(pitch), axis=1)
    height = _between(whorl.height, inner)[:, None] + np.cumsum(steps * np.sin(pitch), axis=1)

    half = width[:, None, None] * _half_width(whorl, along)[:, None]  # [P, T, 1]
    sideways = half * np.sin(whorl.cup * across) / whorl.cup  # [P, T, S]
    lift = half * (1 - np.cos(whorl.cup * across)) / whorl.cup
    wave = rng.uniform(0, 6, (n, 1, 1)) + (9 * along[:, None] + 2 * across)
    lift = lift + whorl.ruffle * np.sin(wave) * across**2 * along[:, None]
    fall = whorl.notch * length[:, None, None] * (1 - np.abs(across)) * along[:, None] ** 3
    sin, cos = np.sin(pitch)[..., None], np.cos(pitch)[..., None]
    out = radius[..., None] - lift * sin - fall * cos  # [P, T, S]
    up = height[..., None] + lift * cos - fall * sin
    sin, cos = np.sin(azimuth)[:, None, None], np.cos(azimuth)[:, None, None]
    return np.stack([out * cos - sideways * sin, out * sin + sideways * cos, up], axis=-1)


def _pigment(
    whorl: Whorl, tint: np.ndarray, along: np.ndarray, across: np.ndarray, rng: Generator
) -> np.ndarray:
    """The blades' own colours, a face each, [P, T-1, S-1, 3]."""
    n, inner = whorl.count, _inwardness(whorl)
    t, s = (along[1:] + along[:-1]) / 2, (across[1:] + across[:-1]) / 2
    weight = np.broadcast_to(inner[:, None] if whorl.tint_inward else t**0.6, (n, t.size))
    colour = tint[0] + (tint[1] - tint[0]) * weight[..., None]  # [P, T-1, 3]
    veins = 1 - whorl.veins * (0.5 + 0.5 * np.cos(4 * np.pi * s))
    crevice = 1.0 if whorl.tint_inward else 0.5 + 0.5 * np.sqrt(t)[:, None]  # less light reaches
    each = 1 + 0.09 * rng.uniform(-1, 1, (n, 1, 1))
    return colour[:, :, None] * (veins * crevice * each)[..., None]


@dataclass(frozen=True)
class Faces:
    corners: np.ndarray  # [F, 4, 3]
    colours: np.ndarray  # [F, 3]
    depths: np.ndarray  # [F]


def _faces(
    whorl: Whorl,
    tint: np.ndarray,
    frame: np.ndarray,
    radius: float,
    pixels: float,
    light: Light,
    rng: Generator,
    offsets: np.ndarray | float = 0.0,
) -> Faces:
    along, across = _grid(whorl, radius * pixels)
    points = _surface(whorl, along, across, rng) @ frame.T * radius + offsets  # [P, T, S, 3]
    corners = np.stack(
        [points[:, :-1, :-1], points[:, 1:, :-1], points[:, 1:, 1:], points[:, :-1, 1:]], axis=-2
    )  # [P, T-1, S-1, 4, 3]
    normals = np.cross(
        corners[..., 2, :] - corners[..., 0, :], corners[..., 3, :] - corners[..., 1, :]
    )
    length = np.sqrt(np.einsum("...i,...i", normals, normals)) + 1e-12
    facing = normals @ light.direction / length * np.where(normals[..., 2] < 0, -1, 1)
    lit = np.clip(0.35 + 0.85 * facing, 0.2, 1.15)  # petals let light through
    colours = _pigment(whorl, tint, along, across, rng)
    colours = colours * (light.ambient + (1 - light.ambient) * lit)[..., None]
    depths = corners[..., 2].mean(-1)
    depths = depths + 2 * depths.mean((1, 2), keepdims=True)  # keeps each blade together
    return Faces(corners.reshape(-1, 4, 3), colours.reshape(-1, 3), depths.ravel())


def _draw_faces(draw: ImageDraw.ImageDraw, parts: Sequence[Faces]) -> None:
    order = np.argsort(np.concatenate([part.depths for part in parts]), kind="stable")
    corners = np.concatenate([part.corners for part in parts])[order]
    colours = np.concatenate([part.colours for part in parts])[order]
    scale = draw.im.size[0]
    _draw_polygons(draw, corners[..., :2] * [scale, -scale] + [0, scale], colours)


def _draw_polygons(draw: ImageDraw.ImageDraw, outlines: np.ndarray, colours: np.ndarray) -> None:
    """Fills outlines [F, N, 2] in pixels with colours [F, 3], in order."""
    inks = np.clip(colours, 0, 255).astype(np.int64) @ [1, 1 << 8, 1 << 16]  # Pillow's packing
    flat = np.rint(outlines).reshape(-1, 2 * outlines.shape[1])
    for outline, ink in zip(flat.tolist(), inks.tolist(), strict=True):
        draw.polygon(outline, ink)


# --- Plants ---


def _frame(tilt: float, direction: float, spin: float) -> np.ndarray:
    """Rotation that tilts the z axis by `tilt` towards `direction` in the picture, [3, 3]."""

    def about_z(angle: float) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    c, s = np.cos(tilt), np.sin(tilt)
    return about_z(direction) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ about_z(spin)


def _vary(colour: Colour, rng: Generator, amount: float = 14) -> np.ndarray:
    return np.clip(colour + rng.normal(0, amount, 3), 0, 255)


def _tints(species: Species, rng: Generator) -> np.ndarray:
    """The petals' colours at base and tip, [2, 3]."""
    tip = _vary(species.colours[rng.integers(len(species.colours))], rng)
    if species.bases and rng.random() < 0.6:
        return np.stack([_vary(species.bases[rng.integers(len(species.bases))], rng), tip])
    return np.stack([tip * rng.uniform(0.6, 1.1), tip])


def _closed(whorl: Whorl, closure: float) -> Whorl:
    """The whorl at `closure` of the way from open (0) to a bud (1)."""

    def close(pitch: Pair, bud: float) -> Pair:
        return (pitch[0] + (bud - pitch[0]) * closure, pitch[1] + (bud - pitch[1]) * closure)

    return replace(
        whorl, base_pitch=close(whorl.base_pitch, 80), tip_pitch=close(whorl.tip_pitch, 95)
    )


def _draw_blossom(
    draw: ImageDraw.ImageDraw,
    species: Species,
    at: np.ndarray,
    radius: float,
    frame: np.ndarray,
    closure: float,
    tints: np.ndarray,
    light: Light,
    rng: Generator,
) -> None:
    pixels = draw.im.size[0] / SUPERSAMPLING
    parts = [
        _faces(
            _closed(whorl, closure),
            tints if whorl.tint is None else np.array(whorl.tint, float),
            frame,
            radius,
            pixels,
            light,
            rng,
            np.array([*at, 0.0]),
        )
        for whorl in species.whorls
    ]
    _draw_faces(draw, parts)


def _draw_plant(
    draw: ImageDraw.ImageDraw,
    species: Species,
    at: np.ndarray,
    radius: float,
    light: Light,
    rng: Generator,
) -> None:
    tilt, direction = np.radians(rng.uniform(*species.tilt)), np.pi / 2 + rng.normal(0, 0.45)
    frame = _frame(tilt, direction, rng.uniform(0, 2 * np.pi))
    tints = _tints(species, rng)
    stem = _stem(at, frame[:2, 2] * radius, rng)  # [N, 2]
    green = _vary(LEAF, rng)
    _draw_stem(draw, stem, species.stem * radius, green, light)
    _draw_leaves(draw, species, stem, radius, green, light, rng)
    if rng.random() < 0.3:
        bud_frame = _frame(np.radians(rng.uniform(60, 85)), np.pi / 2 + rng.normal(0, 0.6), 0)
        bud = stem[len(stem) // 3] + bud_frame[:2, 2] * radius * rng.uniform(0.8, 1.5)
        _draw_stem(draw, np.stack([bud, stem[len(stem) // 2]]), species.stem * radius, green, light)
        _draw_blossom(draw, species, bud, radius * 0.4, bud_frame, 0.85, tints, light, rng)
    closure = rng.choice([0, rng.uniform(0, 0.35)])
    _draw_blossom(draw, species, at, radius, frame, closure, tints, light, rng)


def _stem(at: np.ndarray, axis: np.ndarray, rng: Generator) -> np.ndarray:
    """A quadratic Bezier curve from the flower to the ground below the picture, [N, 2]."""
    ground = np.array([at[0] + rng.normal(0, 0.15), -0.05])
    bend = at - axis * rng.uniform(1.0, 2.0) + [0, -0.1]
    t = np.linspace(0, 1, 13)[:, None]
    return (1 - t) ** 2 * at + 2 * t * (1 - t) * bend + t**2 * ground


def _draw_stem(
    draw: ImageDraw.ImageDraw, path: np.ndarray, half: float, green: np.ndarray, light: Light
) -> None:
    scale = draw.im.size[0]
    pixels = path * [scale, -scale] + [0, scale]
    side = half * scale * light.direction[:2] * [1, -1]
    for shade, offset, width in ((0.55, 0.0, 2.0), (0.85, 0.25, 1.3), (1.1, 0.45, 0.6)):
        ink = tuple(np.clip(green * shade, 0, 255).astype(int).tolist())
        line = np.rint(pixels + side * offset).ravel().tolist()
        draw.line(line, ink, max(1, round(half * scale * width)), joint="curve")


def _draw_leaves(
    draw: ImageDraw.ImageDraw,
    species: Species,
    stem: np.ndarray,
    radius: float,
    green: np.ndarray,
    light: Light,
    rng: Generator,
) -> None:
    count = int(rng.integers(species.leaves.count // 2, species.leaves.count + 1))
    places = rng.uniform(*species.leaf_span, count) * (len(stem) - 1)
    index = np.arange(len(stem))
    at = np.stack([np.interp(places, index, stem[:, i]) for i in (0, 1)] + [places * 0 - 1], -1)
    frame = _frame(
        np.radians(rng.uniform(55, 105)), np.pi / 2 + rng.normal(0, 0.2), rng.uniform(0, 6)
    )
    tint = np.stack([green * 1.15, green * rng.uniform(0.8, 1.1)])
    whorl = replace(species.leaves, count=count)
    pixels = draw.im.size[0] / SUPERSAMPLING
    faces = _faces(whorl, tint, frame, radius, pixels, light, rng, at[:, None, None])
    _draw_faces(draw, [faces])


def _place(species: Species, rng: Generator) -> list[tuple[float, float, float]]:
    """Positions and radii of the flowers, the smallest (farthest) first, little overlapping."""
    placed: list[tuple[float, float, float]] = []
    wanted = int(rng.integers(species.flowers[0], species.flowers[1] + 1))
    largest = rng.uniform(*species.radius) * (1.15 - 0.08 * wanted)
    for _ in range(3 * wanted):
        radius = largest * (rng.uniform(0.55, 1) if placed else 1)
        x, y = rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.8)
        clear = all((x - a) ** 2 + (y - b) ** 2 > (0.8 * (radius + c)) ** 2 for a, b, c in placed)
        if clear and len(placed) < wanted:
            placed.append((x, y, radius))
    return sorted(placed, key=lambda blossom: blossom[2])


# --- The scene ---


@dataclass(frozen=True)
class Backdrop:
    tops: tuple[Colour, ...]
    bottoms: tuple[Colour, ...]
    texture: Pair  # coarse and fine noise, in grey levels
    grass: int = 0
    discs: int = 0
    distractors: int = 0
    blur: float = 0.0  # in picture widths
    near: bool = False  # takes the flowers' shadows


SOIL, STONE, SKY, NIGHT = (104, 78, 56), (168, 162, 152), (150, 190, 228), (26, 34, 30)
BACKDROPS = (
    Backdrop((SKY, (206, 216, 160), LEAF), (LEAF, GREEN), (14, 6), 130, 0, 8, 0.011),  # meadow
    Backdrop((BLUE, SKY), (SKY, WHITE), (16, 0)),  # sky
    Backdrop((SOIL, STONE), (SOIL, BROWN), (14, 22), 6, near=True),  # soil
    Backdrop((NIGHT, LEAF, GREEN), (NIGHT, LEAF, BROWN), (10, 0), 20, 36, 10, 0.022),  # bokeh
    Backdrop(
        (STONE, CREAM, (186, 120, 96)), (STONE, CREAM, (150, 90, 70)), (8, 9), near=True
    ),  # wall
    Backdrop(
        (PINK, BLUE, YELLOW, STONE, NIGHT), (WHITE, STONE, NIGHT, PINK), (3, 1), near=True
    ),  # studio
    Backdrop((NIGHT, LEAF), (LEAF, GREEN, NIGHT), (16, 5), 90, 8, 5, 0.012),  # hedge
)


def _noise(size: int, cells: int, rng: Generator) -> np.ndarray:
    """Smooth noise of unit variance or less, float32 [S, S, 1]."""
    values = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(values.resize((size, size), Image.Resampling.BICUBIC))[..., None]


def _backdrop(kind: Backdrop, size: int, light: Light, rng: Generator) -> Image.Image:
    top, bottom = (_vary(side[rng.integers(len(side))], rng) for side in (kind.tops, kind.bottoms))
    ramp = np.clip(
        (np.linspace(0, 1, size) - rng.uniform(0.1, 0.6)) * rng.uniform(1, 4) + 0.5, 0, 1
    )
    pixels = (top + (bottom - top) * ramp[:, None, None]).astype(np.float32)  # [S, 1, 3]
    coarse, fine = kind.texture
    pixels = pixels + (coarse * _noise(size, 6, rng) + fine * _noise(size, size // 2, rng))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    _draw_discs(draw, kind.discs, rng)
    _draw_grass(draw, kind.grass, 0.6, rng)
    for _ in range(int(rng.integers(kind.distractors + 1))):
        frame = _frame(rng.uniform(0, 1), np.pi / 2, rng.uniform(0, 6))
        tints = _tints(DISTRACTOR, rng)
        at, radius = rng.uniform(0, 1, 2), rng.uniform(0.02, 0.06)
        _draw_blossom(draw, DISTRACTOR, at, radius, frame, 0, tints, light, rng)
    return image.filter(ImageFilter.GaussianBlur(kind.blur * size * rng.uniform(0.5, 1.6)))


def _draw_discs(draw: ImageDraw.ImageDraw, count: int, rng: Generator) -> None:
    """Highlights out of focus."""
    scale = draw.im.size[0]
    for _ in range(count):
        (x, y), r = rng.uniform(0, scale, 2), scale * rng.uniform(0.015, 0.07)
        colour = _vary((GREEN, CREAM, LEAF, YELLOW)[rng.integers(4)], rng, 25)
        draw.ellipse((x - r, y - r, x + r, y + r), tuple(colour.astype(int).tolist()))


def _draw_grass(draw: ImageDraw.ImageDraw, count: int, height: float, rng: Generator) -> None:
    scale = draw.im.size[0]
    t = np.linspace(0, 1, 6)[:, None]
    foot = rng.uniform([-0.1, -0.2], [1.1, 0.1], (count, 1, 2))  # [G, 1, 2]
    rise = height * rng.uniform(0.4, 1.3, (count, 1))
    tip = foot + np.stack([rng.normal(0, 0.2, (count, 1)), rise], -1)
    middle = foot * [1, 0.5] + tip * [0, 0.5]
    path = (1 - t) ** 2 * foot + 2 * t * (1 - t) * middle + t**2 * tip  # [G, 6, 2]
    half = (1 - t) * [1, 0] * rng.uniform(0.004, 0.014, (count, 1, 1))
    outlines = np.concatenate([path - half, (path + half)[:, ::-1]], 1) * [scale, -scale]
    colours = np.array([LEAF, GREEN])[rng.integers(2, size=count)] + rng.normal(0, 18, (count, 3))
    colours = colours * rng.uniform(0.5, 1.1, (count, 1))
    _draw_polygons(draw, outlines + [0, scale], colours)


def _cast_shadows(
    image: Image.Image,
    blossoms: Sequence[tuple[float, float, float]],
    light: Light,
    rng: Generator,
) -> Image.Image:
    size = image.width // 2
    mask = Image.new("L", (size, size))
    draw = ImageDraw.Draw(mask)
    for x, y, radius in blossoms:
        dx, dy = -light.direction[:2] * radius * 0.7
        box = np.array([x + dx - radius, 1 - y - dy - radius, x + dx + radius, 1 - y - dy + radius])
        draw.ellipse((box * size).tolist(), int(rng.integers(60, 150)))
    mask = mask.filter(ImageFilter.GaussianBlur(size * 0.03)).resize(image.size)
    return Image.composite(Image.new("RGB", image.size, NIGHT), image, mask)


def _foreground(image: Image.Image, rng: Generator) -> Image.Image:
    """Now and then a few blades out of focus, close to the lens."""
    if rng.random() < 0.65:
        return image
    mask = Image.new("L", (image.width // 2,) * 2)
    draw = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 4))):
        x, tip, wide = rng.uniform(0, 1), rng.normal(0.5, 0.4), rng.uniform(0.02, 0.06)
        outline = np.array([x - wide, 1.1, x + wide, 1.1, tip, rng.uniform(0.1, 0.7)])
        draw.polygon((outline * mask.width).tolist(), 230)
    mask = mask.filter(ImageFilter.GaussianBlur(mask.width * 0.02)).resize(image.size)
    colour = tuple(_vary((LEAF, GREEN)[rng.integers(2)], rng).astype(int).tolist())
    return Image.composite(Image.new("RGB", image.size, colour), image, mask)


def _photograph(image: Image.Image, light: Light, rng: Generator) -> np.ndarray:
    """Uneven light, its colour, the sensor's noise and the JPEG file, uint8 [S, S, 3]."""
    saturation = rng.uniform(0.7, 1.1)
    mix = saturation * np.eye(3) + (1 - saturation) / 3  # [3, 3]
    matrix = np.pad(mix * light.gain[:, None], ((0, 0), (0, 1)))
    pixels = np.asarray(image.convert("RGB", tuple(matrix.ravel().tolist())), np.float32)
    pixels = pixels * (1 + np.float32(rng.uniform(0, 0.14)) * _noise(image.width, 4, rng))
    pixels += np.float32(rng.uniform(1, 7)) * rng.standard_normal((*image.size, 1), np.float32)
    file = BytesIO()
    photo = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    photo.save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return np.array(Image.open(file).convert("RGB"))
