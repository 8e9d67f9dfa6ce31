"""Plain Python twins of the compiled modules in `ext`: the oracles of their tests."""
