"""Reports over runs: what their folders hold, as a table and as a page."""
