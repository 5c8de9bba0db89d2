"""Floor 2: typed property graphs in NumPy, read from Neptune exports; usable without torch."""
