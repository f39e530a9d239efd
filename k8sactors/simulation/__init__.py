"""Time, chance, order and the trace: what makes a run repeat byte for byte."""
