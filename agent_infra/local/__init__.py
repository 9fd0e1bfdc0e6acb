"""The local environment: tools, data services, provider stand-ins and fleets on one machine."""
