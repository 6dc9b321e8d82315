"""Long Range Arena tasks whose data can be made or had without a download of the arena: ListOps and images."""
