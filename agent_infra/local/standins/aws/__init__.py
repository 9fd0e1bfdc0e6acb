"""The stand-in of the official `aws` plugin.

One row per resource type, in a file per AWS service; `table.py` says what a row is and `lifecycle.py`
interprets it. Calls go through boto3 to moto's server; databases and caches are real besides.
"""

from agent_infra.local.standins.aws.standin import AwsStandin, not_simulated
from agent_infra.local.standins.notes import NotSimulated

__all__ = ["AwsStandin", "NotSimulated", "not_simulated"]
