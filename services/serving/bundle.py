"""Makes the module that draws the charts, of the package vl-convert: `python -m services.serving.bundle FILE`.

A process of its own, because making it takes seconds in which it never lets go of the interpreter, and a
JavaScript engine that would stay in memory.
"""

import os
import sys
from pathlib import Path
from typing import Final

# The interpreter of expressions that a strict policy needs (`ast: true`) is part of Vega-Embed.
_SNIPPET: Final = "globalThis.bvwVega = { vegaEmbed, vegaLite, vega };"
_EXPORT: Final = "\nexport const { vegaEmbed, vegaLite, vega } = globalThis.bvwVega;\n"


def make(target: Path) -> None:
    """Whole or not at all."""
    import vl_convert

    bundle = vl_convert.javascript_bundle(_SNIPPET) + _EXPORT
    new = target.with_name(f".{target.name}.{os.getpid()}")
    new.write_text(bundle, "utf-8")
    new.rename(target)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
