"""Model folders: loaded, checked, described, exported and converted."""
