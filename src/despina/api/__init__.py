"""Floor 4: the HTTP edge. A pure ASGI application made from a table of operations (``docs/design/0002-http-edge.md``)."""
