"""The measurements. `python -m bench` measures taskwire beside what is used in its place."""
