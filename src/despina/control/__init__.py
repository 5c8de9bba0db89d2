"""Floor 3: the control plane. It talks to stores, engines and artefacts only through ``core/ports.py``."""
