"""What travels: builds requests, reads responses. No sockets, files, clocks or environment."""
