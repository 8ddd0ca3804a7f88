"""The colours of the pictures and of the report, on light and on dark ground."""

from __future__ import annotations

# Of curves, in this order. Okabe and Ito (2008): distinct for colour-blind readers; their yellow is too pale here.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# The same hues in the same order for a dark ground, lighter, so that they stand out from it.
COLOURS_ON_DARK = ("#4A9FDB", "#F0743E", "#2BBF93", "#DE94BE", "#EDB440", "#9AD3F5", "#E8E8E8")
# Of reference lines, of the grid, of text beside a picture, and of the best value.
GREY, GRID, TEXT, BEST = "#6b7280", "#e5e7eb", "#374151", COLOURS[1]
