"""Samples -> nats. Pure functions of tensors, on any device, with no model in sight.

`mutual_information` takes samples of any kind and chooses the estimator. The other functions are the parts it is made
of. The neighbour formulas `ross`, `ksg1`, `ksg2` and `gao` take distances, which `pairwise_distances` and
`standardized_distances` compute once for many calls.
"""

from infopace.estimators._conditional import conditional_mutual_information as conditional_mutual_information
from infopace.estimators._decoder import decoder_bound as decoder_bound
from infopace.estimators._error_bar import part_values as part_values
from infopace.estimators._estimate import Caution as Caution
from infopace.estimators._estimate import Estimate as Estimate
from infopace.estimators._feature_scores import mutual_info_classif as mutual_info_classif
from infopace.estimators._gao import gao as gao
from infopace.estimators._gaussian import gaussian as gaussian
from infopace.estimators._inputs import OutOfRangeError as OutOfRangeError
from infopace.estimators._ksg import ksg1 as ksg1
from infopace.estimators._ksg import ksg1_counts as ksg1_counts
from infopace.estimators._ksg import ksg2 as ksg2
from infopace.estimators._linear_probe import linear_probe_bound as linear_probe_bound
from infopace.estimators._mutual_information import mutual_information as mutual_information
from infopace.estimators._neighbour_search._distances import Distances as Distances
from infopace.estimators._neighbour_search._distances import pairwise_distances as pairwise_distances
from infopace.estimators._neighbour_search._spaces import standardized_distances as standardized_distances
from infopace.estimators._neighbour_search._trees import tree_ksg1 as tree_ksg1
from infopace.estimators._neighbour_search._trees import tree_ross as tree_ross
from infopace.estimators._permutation import p_value as p_value
from infopace.estimators._permutation import permutation_null as permutation_null
from infopace.estimators._plug_in import entropy as entropy
from infopace.estimators._ridge import ridge_information as ridge_information
from infopace.estimators._ross import ross as ross
from infopace.estimators._usable import usable_information as usable_information
