"""The optimizers that runs are paced with, as recipes, and those of baselines that no sound package provides."""

from __future__ import annotations

from infopace.lab.optimizers._abel import ABEL as ABEL
from infopace.lab.optimizers._dog import DoG as DoG
from infopace.lab.optimizers._l4 import L4Mom as L4Mom
from infopace.lab.optimizers._recipes import ADAM_GRID as ADAM_GRID
from infopace.lab.optimizers._recipes import RECIPES as RECIPES
from infopace.lab.optimizers._recipes import SGD_GRID as SGD_GRID
from infopace.lab.optimizers._recipes import AdafactorRecipe as AdafactorRecipe
from infopace.lab.optimizers._recipes import AdamWRecipe as AdamWRecipe
from infopace.lab.optimizers._recipes import LionRecipe as LionRecipe
from infopace.lab.optimizers._recipes import MuonRecipe as MuonRecipe
from infopace.lab.optimizers._recipes import Recipe as Recipe
from infopace.lab.optimizers._recipes import SGDRecipe as SGDRecipe
from infopace.lab.optimizers._recipes import find_recipe as find_recipe
from infopace.lab.optimizers._sasa import SALSA as SALSA
from infopace.lab.optimizers._sasa import SASA as SASA
from infopace.lab.optimizers._yamadam import YamAdam as YamAdam
