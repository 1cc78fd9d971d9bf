"""What runs: the spec, the Prefect flows, the command line, and the wiring of a spec to objects.

`build.py`, `evaluate.py`, `score.py`, `export.py` and `distill.py` are Prefect flows; a deployment names `flows.build.build`.
What one carries out is in `building.py`, `evaluating.py` and so on, without Prefect.
"""

import os

# Arrow's own pool keeps what it held: a hundred megabytes by the end of a build. It reads this once, as it is loaded, for what it
# allocates within; `storage.memory.settle` does the same for what Python asks of it, and can do no more.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
