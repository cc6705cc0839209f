"""Species of flowers as tables of traits.

A flower consists of whorls of blades (`Whorl`), which `drawing` draws into the scenes of `scene`.
The species share a few colours, so that colour alone does not identify one: the number, curve and
arrangement of its petals do.
"""

from dataclasses import dataclass

Colour = tuple[int, int, int]
Pair = tuple[float, float]

WHITE, CREAM, YELLOW, GOLD = (246, 244, 240), (248, 232, 190), (250, 214, 40), (240, 170, 24)
ORANGE, RED, CRIMSON = (238, 116, 30), (212, 36, 36), (150, 18, 44)
PINK, MAGENTA, LILAC = (240, 150, 178), (206, 58, 132), (186, 148, 214)
PURPLE, BLUE = (108, 52, 158), (92, 104, 204)
GREEN, LEAF, BLACK, BROWN = (132, 158, 74), (70, 116, 52), (38, 24, 34), (88, 52, 24)


@dataclass(frozen=True)
class Whorl:
    """Blades around one axis: petals, florets, stamens or leaves; lengths in flower radii.

    A pair goes from the outermost blade to the innermost. A blade leaves the axis at `start` and
    `height`, rises at `base_pitch` degrees over the flower's plane and bends to `tip_pitch`; its
    half-width along its length follows a beta curve with the two exponents of `outline`.
    """

    count: int
    length: Pair
    width: Pair
    base_pitch: Pair
    tip_pitch: Pair
    outline: Pair
    start: Pair = (0.0, 0.0)
    height: Pair = (0.0, 0.0)
    rings: int = 0  # of blades; 0: one spiral with the golden angle of phyllotaxis
    cup: float = 0.3  # how far a blade wraps around its own midrib, radians
    notch: float = 0.0  # of the tip, in blade lengths
    ruffle: float = 0.0  # height of the waves along the edge
    teeth: Pair = (0.0, 0.0)  # number along the edge, depth in widths
    veins: float = 0.06  # how much darker, as a fraction
    jitter: float = 0.12  # how far blades differ from one another, as a fraction
    tints: tuple[tuple[Colour, Colour], ...] = ()  # base and tip; none: the flower's own colours
    tint_inward: bool = False  # a tint goes from the outermost to the innermost blade instead


@dataclass(frozen=True)
class Species:
    """The traits of a species."""

    name: str
    colours: tuple[Colour, ...]
    whorls: tuple[Whorl, ...]
    tilt: Pair  # degrees between the flower's axis and the line of sight
    leaves: Whorl
    leaf_span: Pair  # the part of the stem with leaves, 0 at the flower, 1 at the ground
    radius: Pair = (0.14, 0.38)  # of the flower, in image widths
    flowers: tuple[int, int] = (1, 4)
    bases: tuple[Colour, ...] = ()  # possible colours at the base of the petals
    stem: float = 0.05  # half-width, in flower radii


# fmt: off
def _same(value: float) -> Pair:
    return (value, value)


def _disc(
    count: int, radius: float, dome: float, floret: float, *tints: tuple[Colour, Colour]
) -> Whorl:
    """Florets on a dome, as in the heart of a daisy; each tint goes inward."""
    return Whorl(
        count, _same(floret), _same(floret * 1.2), (35, 60), (20, 40), (0.5, 0.5),
        start=(radius, 0.0), height=(0.0, dome), tints=tints, tint_inward=True,
    )


def _stamens(count: int, length: float, pitch: float, filament: Colour, anther: Colour) -> Whorl:
    return Whorl(
        count, (length, length * 0.7), (length * 0.1, length * 0.08), (pitch, 88), (pitch - 15, 86),
        outline=(3.0, 0.25),  # thin to near the tip: the filament, then the anther
        jitter=0.4, tints=((filament, anther),),
    )


def _sepals(count: int, length: float, width: float, base_pitch: float, tip_pitch: float) -> Whorl:
    return Whorl(
        count, _same(length), _same(width), _same(base_pitch), _same(tip_pitch), (0.5, 0.8),
        rings=1, tints=((GREEN, LEAF),),
    )


def _leaves(
    count: int, length: float, width: float, outline: Pair,
    pitch: Pair = (62, 5), teeth: Pair = (0, 0), cup: float = 0.3,
) -> Whorl:
    return Whorl(
        count, _same(length), _same(width), _same(pitch[0]), _same(pitch[1]), outline,
        teeth=teeth, cup=cup, veins=0.12, jitter=0.5,
    )


DAISY = Species(
    "daisy",
    (WHITE, WHITE, CREAM, PINK, YELLOW, MAGENTA, ORANGE),
    (
        Whorl(
            34, (0.74, 0.7), (0.105, 0.1), (4, 18), (-10, 4), (0.4, 0.22), _same(0.23), veins=0.1
        ),
        _disc(
            89, 0.26, 0.13, 0.075, (GOLD, YELLOW), (GOLD, YELLOW), (YELLOW, GREEN), (BROWN, BLACK)
        ),
    ),
    tilt=(0, 62),
    leaves=_leaves(5, 1.1, 0.22, (1.6, 0.3), teeth=(4, 0.2)),
    leaf_span=(0.7, 1.0),
    radius=(0.1, 0.32),
    flowers=(1, 6),
)
DANDELION = Species(
    "dandelion",
    (YELLOW, YELLOW, GOLD, ORANGE, WHITE, PINK),
    (
        _sepals(13, 0.5, 0.08, -20, -80),
        Whorl(
            150, (0.9, 0.3), (0.05, 0.035), (4, 86), (-8, 64), (0.25, 0.1), (0.1, 0.0), (0.0, 0.06),
            notch=0.06, veins=0.14, jitter=0.22,
        ),
    ),
    tilt=(0, 65),
    leaves=_leaves(6, 1.7, 0.3, (1.2, 0.6), teeth=(5, 0.65)),
    leaf_span=(0.8, 1.0),
    radius=(0.1, 0.3),
    flowers=(1, 5),
)
ROSE = Species(
    "rose",
    (RED, CRIMSON, PINK, WHITE, CREAM, YELLOW, ORANGE, MAGENTA),
    (
        _sepals(5, 0.75, 0.12, -5, -50),
        Whorl(
            24, (0.98, 0.5), (0.52, 0.2), (22, 84), (-8, 94), (0.6, 0.22), (0.06, 0.0),
            cup=1.2, ruffle=0.03,
        ),
    ),
    tilt=(5, 60),
    leaves=_leaves(7, 0.85, 0.3, (0.6, 0.8), teeth=(9, 0.12)),
    leaf_span=(0.15, 0.8),
    flowers=(1, 3),
)
SUNFLOWER = Species(
    "sunflower",
    (YELLOW, GOLD, ORANGE, CREAM, CRIMSON),
    (
        Whorl(
            38, (0.56, 0.5), (0.12, 0.11), (2, 26), (-14, 6), (0.45, 0.75), (0.44, 0.42), veins=0.16
        ),
        _disc(
            233, 0.48, 0.08, 0.085, (BROWN, BLACK), (BROWN, BLACK), (BROWN, GREEN), (GOLD, GREEN)
        ),
    ),
    tilt=(0, 55),
    leaves=_leaves(5, 1.1, 0.42, (0.35, 0.9), teeth=(7, 0.1)),
    leaf_span=(0.25, 0.9),
    radius=(0.14, 0.4),
    flowers=(1, 3),
    stem=0.06,
)
TULIP = Species(
    "tulip",
    (RED, YELLOW, WHITE, PINK, PURPLE, ORANGE, MAGENTA, CRIMSON),
    (
        Whorl(
            6, (1.3, 1.25), (0.5, 0.48), (28, 34), (92, 96), (0.55, 0.42),
            rings=2, cup=1.3, veins=0.1,
        ),
        _stamens(6, 0.4, 65, GREEN, BLACK),
    ),
    tilt=(42, 86),
    leaves=_leaves(4, 2.6, 0.26, (0.5, 0.9), pitch=(80, 45), cup=0.8),
    leaf_span=(0.75, 1.0),
    radius=(0.12, 0.29),
    flowers=(1, 5),
    bases=(YELLOW, WHITE),
)
POPPY = Species(
    "poppy",
    (RED, ORANGE, YELLOW, WHITE, PINK, CRIMSON),
    (
        Whorl(
            4, (0.98, 0.92), (0.8, 0.76), (26, 38), (-6, 8), (0.8, 0.34),
            rings=2, cup=0.6, ruffle=0.06, veins=0.03,
        ),
        _stamens(55, 0.4, 38, BLACK, BROWN),
        _disc(21, 0.13, 0.34, 0.08, (GREEN, GREEN)),
    ),
    tilt=(5, 72),
    leaves=_leaves(6, 1.2, 0.3, (0.6, 0.7), teeth=(6, 0.75)),
    leaf_span=(0.6, 1.0),
    radius=(0.12, 0.34),
    bases=(BLACK, YELLOW),
    stem=0.03,
)
IRIS = Species(
    "iris",
    (PURPLE, BLUE, LILAC, YELLOW, WHITE, CRIMSON),
    (
        Whorl(  # three falls, three standards
            6, (1.2, 1.0), (0.4, 0.36), (46, 62), (-95, 118), (1.1, 0.28),
            rings=2, cup=0.7, ruffle=0.07, veins=0.2,
        ),
        Whorl(  # beards
            3, _same(0.42), _same(0.07), _same(48), _same(10), (0.5, 0.4),
            rings=1, tints=((GOLD, YELLOW),),
        ),
    ),
    tilt=(58, 84),
    leaves=_leaves(5, 3.2, 0.13, (0.3, 0.8), pitch=(84, 68), cup=0.9),
    leaf_span=(0.7, 1.0),
    radius=(0.13, 0.31),
    flowers=(1, 3),
    bases=(WHITE, YELLOW),
    stem=0.06,
)
LILY = Species(
    "lily",
    (WHITE, ORANGE, PINK, YELLOW, CRIMSON, MAGENTA),
    (
        Whorl(
            6, (1.15, 1.12), (0.22, 0.27), (48, 52), (-30, -24), (0.7, 0.9),
            rings=2, cup=0.7, veins=0.2,
        ),
        _stamens(6, 0.75, 62, CREAM, BROWN),
        Whorl(  # pistil
            1, _same(0.8), _same(0.035), _same(86), _same(80), (0.3, 0.1), tints=((GREEN, CREAM),)
        ),
    ),
    tilt=(10, 66),
    leaves=_leaves(9, 1.2, 0.13, (0.5, 0.9), pitch=(50, 0)),
    leaf_span=(0.1, 0.9),
    radius=(0.13, 0.36),
    flowers=(1, 3),
    bases=(WHITE, GREEN),
)
SPECIES = (DAISY, DANDELION, ROSE, SUNFLOWER, TULIP, POPPY, IRIS, LILY)
DISTRACTOR = Species(  # of no class, small, in the background
    "distractor",
    (WHITE, CREAM, YELLOW, ORANGE, PINK, MAGENTA, LILAC, PURPLE, BLUE, RED),
    (Whorl(5, _same(0.9), _same(0.34), _same(18), _same(0), (0.8, 0.3), rings=1),),
    tilt=(0, 60),
    leaves=_leaves(0, 1.0, 0.2, (0.5, 0.5)),
    leaf_span=(0.5, 1.0),
    bases=(YELLOW,),
)
# fmt: on
