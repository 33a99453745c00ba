"""Who may come in, and where the server may go: users and their passwords, authentication, address lists, destinations."""
