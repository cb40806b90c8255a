"""Rules on the live data: what they find is recorded once and told at least once."""
