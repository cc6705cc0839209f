"""Composes the images of `flowers`: a backdrop, plants before it, and a camera."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from kerascnn_flowers.drawing import (
    SUPERSAMPLING,
    Light,
    Painter,
    draw_distractor,
    draw_grass,
    draw_plant,
    vary,
)
from kerascnn_flowers.species import (
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
)

Places = list[tuple[float, float, float]]  # x, y and radius of each flower, in image widths


@dataclass(frozen=True)
class Backdrop:
    """What may be behind the flowers; lengths in image widths."""

    tops: tuple[Colour, ...]
    bottoms: tuple[Colour, ...]
    texture: Pair  # coarse and fine noise, in grey levels
    grass: int = 0
    highlights: int = 0
    distractors: int = 0
    blur: float = 0.0
    near: bool = False  # takes the flowers' shadows


SOIL, STONE, SKY, NIGHT = (104, 78, 56), (168, 162, 152), (150, 190, 228), (26, 34, 30)
HAZE, BRICK, PLASTER = (206, 216, 160), (150, 90, 70), (186, 120, 96)
MEADOW = Backdrop((SKY, HAZE, LEAF), (LEAF, GREEN), (14, 6), 130, 0, 8, 0.011)
HEDGE = Backdrop((NIGHT, LEAF), (LEAF, GREEN, NIGHT), (16, 5), 90, 8, 5, 0.012)
BOKEH = Backdrop((NIGHT, LEAF, GREEN), (NIGHT, LEAF, BROWN), (10, 0), 20, 36, 10, 0.022)
OPEN_SKY = Backdrop((BLUE, SKY), (SKY, WHITE), (16, 0))
GROUND = Backdrop((SOIL, STONE), (SOIL, BROWN), (14, 22), 6, near=True)
WALL = Backdrop((STONE, CREAM, PLASTER), (STONE, CREAM, BRICK), (8, 9), near=True)
STUDIO = Backdrop(
    (PINK, BLUE, YELLOW, STONE, NIGHT), (WHITE, STONE, NIGHT, PINK), (3, 1), near=True
)
BACKDROPS = (MEADOW, HEDGE, BOKEH, OPEN_SKY, GROUND, WALL, STUDIO)


def render(species: Species, size: int, rng: Generator) -> np.ndarray:
    """Renders one image of a species.

    Args:
        species: What to draw.
        size: Height and width S in pixels.
        rng: Decides everything else.

    Returns:
        uint8 [S, S, 3].
    """
    light, places = _draw_light(rng), _place(species, rng)
    kind = BACKDROPS[rng.integers(len(BACKDROPS))]
    backdrop = _backdrop(kind, size // 2, light, rng)
    if kind.near:
        backdrop = _cast_shadows(backdrop, places, light, rng)
    canvas = backdrop.resize((size * SUPERSAMPLING,) * 2, Image.Resampling.BILINEAR)
    painter = Painter(ImageDraw.Draw(canvas), light, rng)
    for x, y, radius in places:
        draw_plant(painter, species, np.array([x, y]), radius)
    if rng.random() < 0.5:
        draw_grass(painter, int(rng.integers(2, 10)), rng.uniform(0.2, 0.7))
    focus = ImageFilter.GaussianBlur(size * rng.uniform(0, 0.004))
    image = canvas.reduce(SUPERSAMPLING).filter(focus)
    if rng.random() < 0.35:
        image = _near_the_lens(image, rng)
    return _photograph(image, light, rng)


def _draw_light(rng: Generator) -> Light:
    direction = np.array([rng.uniform(-1, 1), rng.uniform(0.1, 1), rng.uniform(0.4, 1.2)])
    warmth, tint = rng.normal(0, 0.09), rng.normal(0, 0.03)
    gain = rng.uniform(0.85, 1.25) * np.array([1 + warmth, 1 + tint, 1 - warmth])
    return Light(direction / np.linalg.norm(direction), gain, rng.uniform(0.35, 0.7))


def _place(species: Species, rng: Generator) -> Places:
    """Places flowers with little overlap, the smallest, which is the farthest, first."""
    places: Places = []
    wanted = int(rng.integers(species.flowers[0], species.flowers[1] + 1))
    largest = rng.uniform(*species.radius) * (1.15 - 0.08 * wanted)
    for _ in range(3 * wanted):
        radius = largest * (rng.uniform(0.55, 1) if places else 1)
        x, y = rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.8)
        clear = all((x - a) ** 2 + (y - b) ** 2 > (0.8 * (radius + c)) ** 2 for a, b, c in places)
        if clear and len(places) < wanted:
            places.append((x, y, radius))
    return sorted(places, key=lambda place: place[2])


def _noise(size: int, cells: int, rng: Generator) -> np.ndarray:
    """Smooth noise with `cells` bumps a side, about unit variance, float32 [S, S, 1]."""
    values = Image.fromarray(rng.standard_normal((cells, cells), np.float32))
    return np.asarray(values.resize((size, size), Image.Resampling.BICUBIC))[..., None]


def _backdrop(kind: Backdrop, size: int, light: Light, rng: Generator) -> Image.Image:
    top, bottom = (vary(rng.choice(colours), rng) for colours in (kind.tops, kind.bottoms))
    height = (np.linspace(0, 1, size) - rng.uniform(0.1, 0.6)) * rng.uniform(1, 4) + 0.5
    ramp = np.clip(height, 0, 1)[:, None, None]
    coarse, fine = kind.texture
    texture = coarse * _noise(size, 6, rng) + fine * _noise(size, size // 2, rng)
    pixels = np.clip(top + (bottom - top) * ramp + texture, 0, 255)  # [S, S, 3]
    image = Image.fromarray(pixels.astype(np.uint8))
    painter = Painter(ImageDraw.Draw(image), light, rng)
    _draw_highlights(painter, kind.highlights)
    draw_grass(painter, kind.grass, 0.6)
    for _ in range(int(rng.integers(kind.distractors + 1))):
        draw_distractor(painter, DISTRACTOR)
    return image.filter(ImageFilter.GaussianBlur(kind.blur * size * rng.uniform(0.5, 1.6)))


def _draw_highlights(painter: Painter, count: int) -> None:
    """Draws discs of light, out of focus once they are blurred."""
    rng = painter.rng
    for _ in range(count):
        (x, y), r = rng.uniform(0, painter.scale, 2), painter.scale * rng.uniform(0.015, 0.07)
        colour = vary(rng.choice([GREEN, CREAM, LEAF, YELLOW]), rng, 25).astype(int)
        painter.draw.ellipse((x - r, y - r, x + r, y + r), tuple(colour.tolist()))


def _cast_shadows(image: Image.Image, places: Places, light: Light, rng: Generator) -> Image.Image:
    size = image.width
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    for x, y, radius in places:
        dx, dy = -light.direction[:2] * radius * 0.7
        box = np.array([x + dx - radius, 1 - y - dy - radius, x + dx + radius, 1 - y - dy + radius])
        draw.ellipse((box * size).tolist(), int(rng.integers(60, 150)))
    mask = mask.filter(ImageFilter.GaussianBlur(size * 0.03))
    return Image.composite(Image.new("RGB", image.size, NIGHT), image, mask)


def _near_the_lens(image: Image.Image, rng: Generator) -> Image.Image:
    """Puts a few blades, far out of focus, before everything."""
    mask = Image.new("L", (image.width // 2,) * 2)
    draw = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 4))):
        x, tip, wide = rng.uniform(0, 1), rng.normal(0.5, 0.4), rng.uniform(0.02, 0.06)
        outline = np.array([x - wide, 1.1, x + wide, 1.1, tip, rng.uniform(0.1, 0.7)])
        draw.polygon((outline * mask.width).tolist(), 230)
    mask = mask.filter(ImageFilter.GaussianBlur(mask.width * 0.02)).resize(image.size)
    colour = tuple(vary(rng.choice([LEAF, GREEN]), rng).astype(int).tolist())
    return Image.composite(Image.new("RGB", image.size, colour), image, mask)


def _photograph(image: Image.Image, light: Light, rng: Generator) -> np.ndarray:
    """Adds the light's colour and unevenness, the sensor's noise and JPEG, uint8 [S, S, 3]."""
    saturation = rng.uniform(0.7, 1.1)
    mix = saturation * np.eye(3) + (1 - saturation) / 3  # [3, 3]
    matrix = np.pad(mix * light.gain[:, None], ((0, 0), (0, 1)))  # [3, 4], as Pillow wants it
    pixels = np.asarray(image.convert("RGB", tuple(matrix.ravel().tolist())), np.float32)
    pixels = pixels * (1 + np.float32(rng.uniform(0, 0.14)) * _noise(image.width, 4, rng))
    pixels += np.float32(rng.uniform(1, 7)) * rng.standard_normal((*image.size, 1), np.float32)
    photo, file = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), BytesIO()
    photo.save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return np.array(Image.open(file).convert("RGB"))
