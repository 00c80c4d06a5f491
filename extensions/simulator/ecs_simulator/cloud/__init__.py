"""State and rules of the simulated cloud. No HTTP in here."""
