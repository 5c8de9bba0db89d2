"""Floor 3: graph learning in PyTorch; usable without a server."""
