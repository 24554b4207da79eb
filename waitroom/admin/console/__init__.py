"""The operators' console: pages, what runs on them live, and the report after a sale."""
