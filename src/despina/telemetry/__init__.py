"""How a process tells of its work: metrics, logs and traces (``despina.core.telemetry.Telemetry``).

::

    watch.py       what the parts tell, into metrics and traces
    changes.py     what a pass of a reconciler has changed in a job
    metrics.py     the metrics of a process; ``histogram.py`` how long things take
    logs.py        the log, as text or as JSON
    traces.py      whether there are traces; ``spans.py`` what is in them, by OpenTelemetry
"""
