"""What a person sees of a run: live progress, the summary at its end, comparisons of runs."""
