from hypothesis import settings

# Two shared cores: how long one example takes says nothing about the code.
settings.register_profile("controller", deadline=None, max_examples=100, print_blob=True)
settings.load_profile("controller")
