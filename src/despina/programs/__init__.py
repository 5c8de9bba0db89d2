"""Floor 4: what an engine runs, ``python -m despina.programs SPEC.json``. No program ever sees the job store."""
