"""Where scripts run: the kinds of machines behind the instances."""
