"""What an endpoint's replica does: ``programs/serve.py`` listens, and this package answers.

::

    bodies.py       what a request may say
    artefacts.py    what is served: arrays, memory-mapped, without torch
    answering.py    from the bytes of a request to the bytes of its answer
    properties.py   classes and numbers of nodes and edges
    links.py        tails and heads, and nearest neighbours
    inductive.py    a request's own subgraph: nodes and edges that the model has never seen
    explaining.py   what moved a prediction
    describing.py   what the model is about
"""
