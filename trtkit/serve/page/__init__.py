"""The page: static files without a build step, on the same endpoints that everybody has, and its login."""
