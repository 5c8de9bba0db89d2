"""Who may do what: the rules. Nothing here reads or writes a file, and nothing knows of HTTP."""
