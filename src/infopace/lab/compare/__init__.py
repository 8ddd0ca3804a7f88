"""`infopace compare`: tune the baselines, find the bounds, run every method with every seed, sum up.

`compare` is the command. The other names serve whoever has rows of earlier comparisons: `Outcome.from_row` reads a row,
`choose` picks a learning rate, `summarise` makes the lines of a table and `table_lines` its text.
"""

from __future__ import annotations

from infopace.lab.compare._cells import Outcome as Outcome
from infopace.lab.compare._command import compare as compare
from infopace.lab.compare._config import DEFAULT_METHODS as DEFAULT_METHODS
from infopace.lab.compare._config import FIRST_TUNING_SEED as FIRST_TUNING_SEED
from infopace.lab.compare._config import CompareConfig as CompareConfig
from infopace.lab.compare._config import cores as cores
from infopace.lab.compare._statistics import holm as holm
from infopace.lab.compare._statistics import interval as interval
from infopace.lab.compare._statistics import paired_p as paired_p
from infopace.lab.compare._summary import Line as Line
from infopace.lab.compare._summary import Method as Method
from infopace.lab.compare._summary import summarise as summarise
from infopace.lab.compare._table import p_text as p_text
from infopace.lab.compare._table import table_lines as table_lines
from infopace.lab.compare._tuning import choose as choose
