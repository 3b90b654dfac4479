"""What holds for all tests: on a loaded machine Hypothesis finds no fault with an example that took long."""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
