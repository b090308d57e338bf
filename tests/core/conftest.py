from hypothesis import settings

# Two shared cores: how long one example takes says nothing about the code.
settings.register_profile("core", deadline=None, max_examples=60, print_blob=True)
# pytest tests/core --hypothesis-profile=thorough: before a release, or after the score was touched.
settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("core")
