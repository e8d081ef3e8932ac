"""Sequences: recurrent cells, memory, language, music, translation, forecasting."""
