"""Which of Amazon's instance types has enough memory: recommendations in the files where Neptune ML writes them.

Despina itself runs on the machine it is on. The figures help those who plan a machine of their own, or go back to AWS.
"""

CPU = {8: "ml.m5.large", 16: "ml.m5.xlarge", 32: "ml.m5.2xlarge", 64: "ml.m5.4xlarge", 128: "ml.m5.8xlarge",
       192: "ml.m5.12xlarge", 256: "ml.m5.16xlarge", 384: "ml.m5.24xlarge"}
"""Memory in GiB → instance type (AWS, "Amazon SageMaker ML instance types")."""
GPU = {16: "ml.g4dn.xlarge", 32: "ml.g4dn.2xlarge", 64: "ml.g4dn.4xlarge", 128: "ml.g4dn.8xlarge", 192: "ml.g4dn.12xlarge",
       256: "ml.g4dn.16xlarge"}


def smallest(instances: dict[int, str], memory: int) -> str:
    """The smallest instance type with so many bytes of memory, or the largest there is."""
    fitting = [gib for gib in sorted(instances) if gib * 2**30 >= memory]
    return instances[fitting[0] if fitting else max(instances)]
