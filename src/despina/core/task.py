"""What a model is to predict."""

from enum import StrEnum


class Task(StrEnum):
    """The tasks of Neptune ML, by the names its training scripts are given.

    Source: Neptune user guide, "Custom models in Neptune ML" (``--task``) and "Neptune ML hyperparameters" (``task_type``).
    """

    NODE_CLASS = "node_class"
    NODE_REGRESSION = "node_regression"
    EDGE_CLASS = "edge_class"
    EDGE_REGRESSION = "edge_regression"
    LINK_PREDICT = "link_predict"
