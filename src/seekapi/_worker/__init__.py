"""One invocation, as user code sees it."""
