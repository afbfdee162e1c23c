"""A network that is not in the notebook: for sounds, int8, with an input of another shape."""

from edge_course import stripes
from tests.support import tiny_networks


def network() -> bytes:
    return tiny_networks.keyword_spotting().content(every_output=False)


def data():
    return stripes.pictures(100, (49, 10, 1), classes=12)
