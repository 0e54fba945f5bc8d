"""Every effect that services share: settings, clock, key stores, database, web, fetching."""
