"""Pages for operators: plain forms that work without script."""
