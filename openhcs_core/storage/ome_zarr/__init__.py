"""The OME-Zarr 0.5 HCS format: what a plate is made of, written and read."""
