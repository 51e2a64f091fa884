"""How servers are reached: one client factory, one deadline, one OAuth 2, and why a request got no answer."""
