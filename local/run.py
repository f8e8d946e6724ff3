"""`make run`: the local cloud up, deployed, filled with the demo, and how to go on."""

import sys

from local import cloud, fill
from local.demo import DISTRIBUTOR_EMAIL, OPERATOR_EMAIL, PASSWORD
