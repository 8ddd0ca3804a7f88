"""Information terms to be added to a loss: torch modules that give a scalar with gradients.

    layers = Layers(model, "block.2")
    term = NormalizedHSIC()
    loss = cross_entropy(model(inputs), targets) + 0.1 * term(layers["block.2"], inputs)

The first argument is what a layer gave, the second what it is to know less of. `EnsembleDecorrelation` and
`VariationalBottleneck` take the layer alone.
"""

from infopace.regularizers._cauchy_schwarz import CauchySchwarz as CauchySchwarz
from infopace.regularizers._club import CLUB as CLUB
from infopace.regularizers._club import InfoNCE as InfoNCE
from infopace.regularizers._decorrelation import EnsembleDecorrelation as EnsembleDecorrelation
from infopace.regularizers._layers import GaussianNoise as GaussianNoise
from infopace.regularizers._layers import Layers as Layers
from infopace.regularizers._matrix_renyi import MatrixRenyi as MatrixRenyi
from infopace.regularizers._mine import MINE as MINE
from infopace.regularizers._nhsic import NormalizedHSIC as NormalizedHSIC
from infopace.regularizers._variational import VariationalBottleneck as VariationalBottleneck
