"""What `make generate` writes: a module for each kind of file, named after it; `files` has them all."""
