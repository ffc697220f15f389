"""How the picture of a backtest looks, on light paper and on dark."""

import re

from pipeline.backtest.report import State

LEGEND = {
    State.HELD: "held by a guard",
    State.CORDONED: "cordoned",
    State.DRAINING: "draining",
    State.REBOOTING: "rebooting",
    State.OFFLINE: "offline for good",
}

# The colours are those of Okabe and Ito, which people with colour blindness can tell apart.
STYLE = """
.page { background: #ffffff; color: #1c1f24 } .paper { fill: #ffffff }
text { fill: #1c1f24 } text.dim { fill: #5c6470 } .grid { stroke: #e3e6ea; fill: none }
.title { font-size: 16px; font-weight: 600 } .heading { font-size: 13px; font-weight: 600 }
.out { stroke: #0072b2; stroke-width: 1.5; fill: #0072b2; fill-opacity: .2 }
.held { fill: #c9b400 } .cordoned { fill: #8a93a0 } .draining { fill: #56b4e9 }
.rebooting { fill: #e69f00 } .offline { fill: #d55e00 }
@media (prefers-color-scheme: dark) {
.page { background: #14171b; color: #e8eaed } .paper { fill: #14171b }
text { fill: #e8eaed } text.dim { fill: #a2abb8 } .grid { stroke: #2b3138 }
.out { stroke: #56b4e9; fill: #56b4e9 } .held { fill: #f0e442 } .cordoned { fill: #77808d }
}
"""

# Names come out of somebody's log: what XML cannot hold is shown as what it is not.
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\x7e\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def printable(text: str) -> str:
    """Return the text without the characters that no XML document can hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
