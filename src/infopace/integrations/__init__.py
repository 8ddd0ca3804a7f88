"""One short adapter a framework: `infopace.integrations.lightning`, `.transformers`, `.accelerate` and `.keras`.

Each needs the extra of its name. This module needs none.
"""

from infopace.integrations._shared import readings as readings
