"""What every test runs under, and the fixtures that every test may ask for."""

from hypothesis import settings

pytest_plugins = ["tests.services.fixtures"]

# A machine that is busy elsewhere makes an example slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
