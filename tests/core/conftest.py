from hypothesis import settings

# Two shared cores: how long one example takes says nothing about the code.
settings.register_profile("core", deadline=None, print_blob=True)
settings.load_profile("core")
