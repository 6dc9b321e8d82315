"""Files and folders: atomic writes, locks, cache records. Standard library and filelock only."""
