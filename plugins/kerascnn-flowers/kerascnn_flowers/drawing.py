"""Draws the plants of `flowers`: blades as lit surfaces in space.

Every part of a plant is a blade: a strip, bent along its midrib and cupped across it, drawn as
quadrilaterals from back to front. Coordinates: x right, y up, z towards the viewer, in image
widths.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from PIL import ImageDraw

from kerascnn_flowers.species import GREEN, LEAF, Colour, Pair, Species, Whorl

GOLDEN_ANGLE = np.pi * (3 - 5**0.5)  # H. Vogel, A better way to construct the sunflower head, 1979
SUPERSAMPLING = 2
MOST_FACES = 800  # of one whorl: more make no visible difference


@dataclass(frozen=True)
class Light:
    direction: np.ndarray  # [3], unit length, towards the light
    gain: np.ndarray  # [3], its colour
    ambient: float


@dataclass(frozen=True)
class Painter:
    """What every drawing function needs: canvas, light and random generator."""

    draw: ImageDraw.ImageDraw
    light: Light
    rng: Generator

    @property
    def scale(self) -> int:
        """The canvas's width in pixels."""
        return self.draw.im.size[0]

    def fill(self, outlines: np.ndarray, colours: np.ndarray) -> None:
        """Fills outlines [F, N, 2] with colours [F, 3], in order."""
        pixels = np.rint(outlines * [self.scale, -self.scale] + [0, self.scale])
        flat = pixels.reshape(-1, 2 * outlines.shape[1]).tolist()
        inks = (np.clip(colours, 0, 255).astype(int) @ [1, 1 << 8, 1 << 16]).tolist()  # as Pillow
        for outline, ink in zip(flat, inks, strict=True):
            self.draw.polygon(outline, ink)


@dataclass(frozen=True)
class Faces:
    """Quadrilaterals in space: corners [F, 4, 3], colours [F, 3], painting order [F]."""

    corners: np.ndarray
    colours: np.ndarray
    depths: np.ndarray


def vary(colour: Colour | np.ndarray, rng: Generator, amount: float = 14) -> np.ndarray:
    """A colour near the given one, float [3] in 0-255."""
    return np.clip(colour + rng.normal(0, amount, 3), 0, 255)


def _between(pair: Pair, weight: np.ndarray) -> np.ndarray:
    return pair[0] + (pair[1] - pair[0]) * weight


def _grid(whorl: Whorl, pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions along a blade (0 to 1) and across it (-1 to 1), as fine as its size requires."""
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
    sin, cos = np.sin(pitch), np.cos(pitch)  # [P, T]
    steps = np.diff(along, prepend=0) * length[:, None]
    start = _between(whorl.start, 1 - np.sqrt(1 - inner))  # equal area for every floret
    radius = start[:, None] + np.cumsum(steps * cos, axis=1)
    height = _between(whorl.height, inner)[:, None] + np.cumsum(steps * sin, axis=1)

    half = width[:, None, None] * _half_width(whorl, along)[:, None]  # [P, T, 1]
    sideways = half * np.sin(whorl.cup * across) / whorl.cup  # [P, T, S]
    wave = np.sin(rng.uniform(0, 6, (n, 1, 1)) + (9 * along[:, None] + 2 * across))
    lift = half * (1 - np.cos(whorl.cup * across)) / whorl.cup
    lift = lift + whorl.ruffle * wave * across**2 * along[:, None]
    fall = whorl.notch * length[:, None, None] * (1 - np.abs(across)) * along[:, None] ** 3
    sin, cos = sin[..., None], cos[..., None]
    out = radius[..., None] - lift * sin - fall * cos  # [P, T, S]
    up = height[..., None] + lift * cos - fall * sin
    sin, cos = np.sin(azimuth)[:, None, None], np.cos(azimuth)[:, None, None]
    return np.stack([out * cos - sideways * sin, out * sin + sideways * cos, up], axis=-1)


def _pigment(
    whorl: Whorl, tint: np.ndarray, along: np.ndarray, across: np.ndarray, rng: Generator
) -> np.ndarray:
    """The blades' own colours, one per face, [P, T-1, S-1, 3]."""
    t, s = (along[1:] + along[:-1]) / 2, (across[1:] + across[:-1]) / 2
    weight = _inwardness(whorl)[:, None] if whorl.tint_inward else t**0.6
    colour = tint[0] + (tint[1] - tint[0]) * weight[..., None]  # [P or T-1, 1 or 3, ...]
    veins = 1 - whorl.veins * (0.5 + 0.5 * np.cos(4 * np.pi * s))
    crevice = 1.0 if whorl.tint_inward else 0.5 + 0.5 * np.sqrt(t)[:, None]  # less light reaches
    each = 1 + 0.09 * rng.uniform(-1, 1, (whorl.count, 1, 1))
    brightness = np.broadcast_to(veins * crevice * each, (whorl.count, t.size, s.size))
    return (colour[:, :, None] if whorl.tint_inward else colour[:, None]) * brightness[..., None]


def _blades(
    painter: Painter,
    whorl: Whorl,
    tint: np.ndarray,
    frame: np.ndarray,
    radius: float,
    origin: np.ndarray,
) -> Faces:
    """A whorl's lit faces; `origin` is [3], or [P, 1, 1, 3] for separate blades."""
    along, across = _grid(whorl, radius * painter.scale / SUPERSAMPLING)
    points = _surface(whorl, along, across, painter.rng) @ frame.T * radius + origin
    corners = np.stack(
        [points[:, :-1, :-1], points[:, 1:, :-1], points[:, 1:, 1:], points[:, :-1, 1:]], axis=-2
    )  # [P, T-1, S-1, 4, 3]
    normals = np.cross(
        corners[..., 2, :] - corners[..., 0, :], corners[..., 3, :] - corners[..., 1, :]
    )
    length = np.sqrt(np.einsum("...i,...i", normals, normals)) + 1e-12
    light = painter.light
    facing = normals @ light.direction / length * np.where(normals[..., 2] < 0, -1, 1)
    lit = np.clip(0.35 + 0.85 * facing, 0.2, 1.15)  # petals let light through
    colours = _pigment(whorl, tint, along, across, painter.rng)
    colours = colours * (light.ambient + (1 - light.ambient) * lit)[..., None]
    depths = corners[..., 2].mean(-1)
    depths = depths + 2 * depths.mean((1, 2), keepdims=True)  # keeps each blade together
    return Faces(corners.reshape(-1, 4, 3), colours.reshape(-1, 3), depths.ravel())


def _paint(painter: Painter, parts: list[Faces]) -> None:
    order = np.argsort(np.concatenate([part.depths for part in parts]), kind="stable")
    corners = np.concatenate([part.corners for part in parts])[order]
    painter.fill(corners[..., :2], np.concatenate([part.colours for part in parts])[order])


def _frame(tilt: float, direction: float, spin: float) -> np.ndarray:
    """Rotation that tilts the z axis by `tilt` towards `direction` in the image, [3, 3]."""

    def about_z(angle: float) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    c, s = np.cos(tilt), np.sin(tilt)
    return about_z(direction) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ about_z(spin)


def _tints(species: Species, rng: Generator) -> np.ndarray:
    """The petals' colours at base and tip, [2, 3]."""
    tip = vary(rng.choice(species.colours), rng)
    if species.bases and rng.random() < 0.6:
        return np.stack([vary(rng.choice(species.bases), rng), tip])
    return np.stack([tip * rng.uniform(0.6, 1.1), tip])


def _closed(whorl: Whorl, closure: float) -> Whorl:
    """The whorl at `closure` of the way from open (0) to a bud (1)."""

    def close(pitch: Pair, bud: float) -> Pair:
        return (pitch[0] + (bud - pitch[0]) * closure, pitch[1] + (bud - pitch[1]) * closure)

    base_pitch, tip_pitch = close(whorl.base_pitch, 80), close(whorl.tip_pitch, 95)
    return replace(whorl, base_pitch=base_pitch, tip_pitch=tip_pitch)


@dataclass(frozen=True)
class Blossom:
    """One flower: where it is, how large, which way it faces, its colours, how far it is closed."""

    species: Species
    at: np.ndarray  # [2]
    radius: float
    frame: np.ndarray  # [3, 3]
    tints: np.ndarray  # [2, 3]
    closure: float = 0.0

    def draw(self, painter: Painter) -> None:
        origin = np.array([*self.at, 0.0])
        parts = []
        for whorl in self.species.whorls:
            tint = painter.rng.choice(whorl.tints) if whorl.tints else self.tints
            shape = _closed(whorl, self.closure)
            parts.append(_blades(painter, shape, tint, self.frame, self.radius, origin))
        _paint(painter, parts)


def draw_plant(painter: Painter, species: Species, at: np.ndarray, radius: float) -> None:
    """Draws a flower of a species at `at` [2] with its stem, leaves and perhaps a bud."""
    rng, half = painter.rng, species.stem * radius
    tilt, direction = np.radians(rng.uniform(*species.tilt)), np.pi / 2 + rng.normal(0, 0.45)
    frame = _frame(tilt, direction, rng.uniform(0, 2 * np.pi))
    closure = rng.choice([0, rng.uniform(0, 0.45)])
    flower = Blossom(species, at, radius, frame, _tints(species, rng), closure)
    stem, green = _stem(at, frame[:2, 2] * radius, rng), vary(LEAF, rng)
    _draw_stem(painter, stem, half, green)
    _draw_leaves(painter, species, stem, radius, green)
    if rng.random() < 0.3:
        frame = _frame(np.radians(rng.uniform(60, 85)), np.pi / 2 + rng.normal(0, 0.6), 0)
        bud = stem[4] + frame[:2, 2] * radius * rng.uniform(0.8, 1.5)
        _draw_stem(painter, np.stack([bud, stem[6]]), half, green)
        replace(flower, at=bud, radius=radius * 0.4, frame=frame, closure=0.85).draw(painter)
    flower.draw(painter)


def draw_distractor(painter: Painter, species: Species) -> None:
    """Draws a small flower without a stem anywhere in the image."""
    rng = painter.rng
    frame = _frame(rng.uniform(0, 1), np.pi / 2, rng.uniform(0, 6))
    at, radius = rng.uniform(0, 1, 2), rng.uniform(0.02, 0.06)
    Blossom(species, at, radius, frame, _tints(species, rng)).draw(painter)


def _stem(at: np.ndarray, axis: np.ndarray, rng: Generator) -> np.ndarray:
    """A quadratic Bezier curve from the flower to the ground below the image, [13, 2]."""
    ground = np.array([at[0] + rng.normal(0, 0.15), -0.05])
    bend = at - axis * rng.uniform(1.0, 2.0) + [0, -0.1]
    t = np.linspace(0, 1, 13)[:, None]
    return (1 - t) ** 2 * at + 2 * t * (1 - t) * bend + t**2 * ground


def _draw_stem(painter: Painter, path: np.ndarray, half: float, green: np.ndarray) -> None:
    scale = painter.scale
    pixels = path * [scale, -scale] + [0, scale]
    side = half * scale * painter.light.direction[:2] * [1, -1]
    for shade, offset, width in ((0.55, 0.0, 2.0), (0.85, 0.25, 1.3), (1.1, 0.45, 0.6)):
        ink = tuple(np.clip(green * shade, 0, 255).astype(int).tolist())
        line = np.rint(pixels + side * offset).ravel().tolist()
        painter.draw.line(line, ink, max(1, round(half * scale * width)), joint="curve")


def _draw_leaves(
    painter: Painter, species: Species, stem: np.ndarray, radius: float, green: np.ndarray
) -> None:
    rng, leaves = painter.rng, species.leaves
    count = int(rng.integers(leaves.count // 2, leaves.count + 1))
    places, index = rng.uniform(*species.leaf_span, count) * (len(stem) - 1), np.arange(len(stem))
    x, y = (np.interp(places, index, stem[:, axis]) for axis in (0, 1))
    feet = np.stack([x, y, np.zeros(count)], axis=-1)[:, None, None]  # [P, 1, 1, 3]
    tilt, direction = np.radians(rng.uniform(55, 105)), np.pi / 2 + rng.normal(0, 0.2)
    frame = _frame(tilt, direction, rng.uniform(0, 6))
    tint = np.stack([green * 1.15, green * rng.uniform(0.8, 1.1)])
    _paint(painter, [_blades(painter, replace(leaves, count=count), tint, frame, radius, feet)])


def draw_grass(painter: Painter, count: int, height: float) -> None:
    """Draws blades of grass that grow from the lower edge."""
    rng, t = painter.rng, np.linspace(0, 1, 6)[:, None]
    foot = rng.uniform([-0.1, -0.2], [1.1, 0.1], (count, 1, 2))  # [G, 1, 2]
    rise = height * rng.uniform(0.4, 1.3, (count, 1))
    tip = foot + np.stack([rng.normal(0, 0.2, (count, 1)), rise], axis=-1)
    middle = foot * [1, 0.5] + tip * [0, 0.5]
    path = (1 - t) ** 2 * foot + 2 * t * (1 - t) * middle + t**2 * tip  # [G, 6, 2]
    half = (1 - t) * [1, 0] * rng.uniform(0.004, 0.014, (count, 1, 1))
    colours = np.array([LEAF, GREEN])[rng.integers(2, size=count)] + rng.normal(0, 18, (count, 3))
    outlines = np.concatenate([path - half, (path + half)[:, ::-1]], axis=1)
    painter.fill(outlines, colours * rng.uniform(0.5, 1.1, (count, 1)))
