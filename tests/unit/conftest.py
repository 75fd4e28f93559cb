from hypothesis import settings

# The same cases every time: what a property finds by luck belongs into a case of its own.
settings.register_profile("tests", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("tests")
