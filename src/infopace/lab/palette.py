"""The colours of curves, the same in the pictures and in the report, on light and on dark ground."""

from __future__ import annotations

# Okabe and Ito (2008): colours that colour-blind readers tell apart, without their yellow, too pale here.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# The same hues and the same order for a dark ground: lightened until they stand out from it.
COLOURS_ON_DARK = ("#4A9FDB", "#F0743E", "#2BBF93", "#DE94BE", "#EDB440", "#9AD3F5", "#E8E8E8")
GREY = "#6b7280"
