"""A package, so that its tests share one server, which ends with the last of them."""
