"""Settings of all tests."""

from hypothesis import settings

# A slow machine is not a failure: no test asserts a time.
settings.register_profile("course", deadline=None)
settings.load_profile("course")
