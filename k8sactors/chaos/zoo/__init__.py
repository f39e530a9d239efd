"""The bug zoo: deliberate defects, and whether the campaigns catch them."""
