"""Floor 1: the vocabulary and the rules. No I/O, no clock, no thread; the standard library and msgspec only."""
