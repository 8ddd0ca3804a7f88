"""Neighbours: which of eight ways finds and counts them, and when.

All ways give the same value to the bit. They differ in speed and memory only. `_choose` takes one:

============================  ======================================================  ===================
way                           taken for                                               module
============================  ======================================================  ===================
matrix of distances, kept     n <= 4,096                                              `_distances`
distances in blocks of rows   larger n, where nothing below fits                      `_distances`
sorted values                 Ross, one column, n >= 200                              `_sorted_line`
sorted values, windows        KSG-1, two single columns, n >= 200                     `_two_lines`
distinct vectors              Ross, n >= 5,000, eight copies of each on average       `_few_values`
compiled k-d tree             Ross and KSG-1, n >= 5,000, at most 11 columns, numba   `_compiled_search`
scipy's k-d tree              the same without numba                                  `_scipy_tree`
sorted values inside a tree   counts in a block of one column                         both tree modules
============================  ======================================================  ===================

How they fit together:

- `_distances` defines the canonical distance of two examples. Every comparison that could go either way is decided
  by it, whichever way found the pair.
- `_spaces` makes one space of several blocks, and brings blocks to one scale.
- `_counts` counts neighbours within a radius, for the formulas `_ksg`, `_ross`, `_gao` and `_conditional`.
- `_trees` has Ross and KSG-1 by trees. `_compiled_tree` builds the tree that `_compiled_search` searches, and
  `_compiled_groups` searches in one class after the other.
"""
