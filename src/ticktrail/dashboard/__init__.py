"""The server of the page: HTTP, live stream, SQL. The page itself lives in `web/`."""
