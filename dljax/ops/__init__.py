"""The arithmetic: pure functions of arrays, an equation each."""
