"""`infopace compare --suite`: methods without tuning, by the time that they need to reach a target.

`compare_suite` is the command. `Suite`, `Member` and `Contestant` make a suite of one's own. `Board` has the scores of
rows that there are, and the functions with `table` in their names show them.
"""

from __future__ import annotations

from infopace.lab.scoreboard._board import Board as Board
from infopace.lab.scoreboard._command import compare_suite as compare_suite
from infopace.lab.scoreboard._command import resolve_suite as resolve_suite
from infopace.lab.scoreboard._picture import draw_curves as draw_curves
from infopace.lab.scoreboard._picture import draw_profiles as draw_profiles
from infopace.lab.scoreboard._score import area as area
from infopace.lab.scoreboard._score import cost_to_reach as cost_to_reach
from infopace.lab.scoreboard._score import profile as profile
from infopace.lab.scoreboard._score import ratios as ratios
from infopace.lab.scoreboard._suite import Contestant as Contestant
from infopace.lab.scoreboard._suite import Member as Member
from infopace.lab.scoreboard._suite import Suite as Suite
from infopace.lab.scoreboard._suite import find_suite as find_suite
from infopace.lab.scoreboard._tables import cost_table as cost_table
from infopace.lab.scoreboard._tables import final_table as final_table
from infopace.lab.scoreboard._tables import price_table as price_table
from infopace.lab.scoreboard._tables import score_table as score_table
from infopace.lab.scoreboard._tables import target_table as target_table
