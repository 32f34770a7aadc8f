"""What somebody with write access to a table's folder may do to it, one named function each, and the code that must name it.

An attack takes the table as its writer left it; it returns False where the table's shape has nothing to attack.
"""

from tests.attacks import checkpoints, commits, data, ends  # noqa: F401 - each lists its attacks
from tests.attacks.made import ATTACKS

__all__ = ["ATTACKS"]
