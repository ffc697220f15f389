"""What every test runs under."""

from hypothesis import settings

# A machine that is busy elsewhere makes an example slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
