"""Pictures of runs, as the scheduler and the commands draw them. matplotlib is imported with the first figure."""

from infopace.pictures._figure import new_figure as new_figure
from infopace.pictures._figure import new_panels as new_panels
from infopace.pictures._figure import share_time as share_time
from infopace.pictures._moves import Move as Move
from infopace.pictures._moves import notable as notable
from infopace.pictures._moves import reasons as reasons
from infopace.pictures._moves import thinned as thinned
from infopace.pictures._palette import BEST as BEST
from infopace.pictures._palette import COLOURS as COLOURS
from infopace.pictures._palette import COLOURS_ON_DARK as COLOURS_ON_DARK
from infopace.pictures._palette import GREY as GREY
from infopace.pictures._palette import GRID as GRID
from infopace.pictures._palette import colours_of as colours_of
from infopace.pictures._panels import Curve as Curve
from infopace.pictures._panels import Rates as Rates
from infopace.pictures._panels import Shade as Shade
from infopace.pictures._panels import draw_information as draw_information
from infopace.pictures._panels import draw_rates as draw_rates
