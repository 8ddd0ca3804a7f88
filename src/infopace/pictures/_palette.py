"""The colours of the pictures and of the report, on light and on dark ground."""

from __future__ import annotations

from collections.abc import Iterable

# Of curves, in this order. Okabe and Ito (2008): distinct for colour-blind readers; their yellow is too pale here.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# The same hues in the same order for a dark ground, lighter, so that they stand out from it.
COLOURS_ON_DARK = ("#4A9FDB", "#F0743E", "#2BBF93", "#DE94BE", "#EDB440", "#9AD3F5", "#E8E8E8")
# Of reference lines, of the grid, of text beside a picture, and of the best value.
GREY, GRID, TEXT, BEST = "#6b7280", "#e5e7eb", "#374151", COLOURS[1]
# Of a deep network, from the first layer to the last.
_FIRST, _LAST = (0.27, 0.00, 0.33), (0.99, 0.75, 0.20)


def colours_of(layers: Iterable[str]) -> dict[str, str]:
    """A colour for each layer: distinct ones, or for many layers a scale from the first to the last.

    >>> colours_of(["conv1", "fc"])
    {'conv1': '#0072B2', 'fc': '#D55E00'}
    """
    layers = list(layers)
    if len(layers) <= len(COLOURS):
        return dict(zip(layers, COLOURS, strict=False))
    shares = [place / (len(layers) - 1) for place in range(len(layers))]
    mixed = [[a + (b - a) * share for a, b in zip(_FIRST, _LAST, strict=True)] for share in shares]
    return {
        layer: "#" + "".join(f"{round(255 * part):02x}" for part in one)
        for layer, one in zip(layers, mixed, strict=True)
    }
