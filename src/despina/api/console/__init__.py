"""The web console: pages made on the server, at ``/console``. Loaded when the first of them is asked for."""
