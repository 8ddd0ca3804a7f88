"""A history of information -> the next learning rate. Pure, one policy a file."""

from infopace.policies._bounds import Bounds as Bounds
from infopace.policies._held_out import HeldOut as HeldOut
from infopace.policies._hold_and_decay import HoldAndDecay as HoldAndDecay
from infopace.policies._policy import Decision as Decision
from infopace.policies._policy import Observed as Observed
from infopace.policies._policy import Phase as Phase
from infopace.policies._policy import Policy as Policy
from infopace.policies._policy import simulate as simulate
from infopace.policies._vasudevan2018 import Vasudevan2018 as Vasudevan2018
from infopace.policies._vasudevan2020 import Vasudevan2020 as Vasudevan2020
from infopace.policies._wang2024 import Wang2024 as Wang2024
